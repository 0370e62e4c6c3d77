"""Words that name columns, in the languages of the people who drop files."""

_WORDS = """
    id ids key code codes no nr num number count total amount sum value values price cost
    qty quantity unit units name names firstname lastname surname forename fullname title
    description desc comment comments note notes remark remarks label text type kind class
    category group status state flag date time datetime timestamp year month day week hour
    start end begin from to created updated modified at on by address street city town
    country region county province zip zipcode postcode postal phone telephone fax mobile
    email mail url link website web latitude longitude lat lon lng x y z age sex gender
    height width length weight size color colour currency rate percent percentage score rank
    index level order orders customer client user username account product item sku model
    brand vendor supplier company organisation organization department dept employee manager
    owner source target origin destination file path version language lang location place
    site station airport airline iata icao species genus family min max mean avg average
    median std var balance tax discount net gross invoice payment method reference ref
    parent role job position salary budget year_month period quarter duration speed distance
    temperature temp pressure question answer result results response row column field
    fields record records data artist album song genre director publisher author isbn team
    player points goals nummer anzahl betrag preis menge einheit bezeichnung beschreibung
    bemerkung art typ klasse datum zeit jahr monat tag uhrzeit beginn ende strasse straße
    ort stadt land plz telefon vorname nachname geschlecht alter groesse größe gewicht farbe
    kunde kunden bestellung artikel firma abteilung konto steuer summe wert werte stand
    gemeinde kreis kategorie gruppe schluessel schlüssel nom prenom prénom adresse rue ville
    pays codepostal téléphone courriel prix montant quantité quantite libellé libelle nombre
    numéro numero année annee mois jour heure statut apellido apellidos direccion dirección
    calle ciudad país pais provincia teléfono telefono correo precio cantidad importe fecha
    hora año mes día dia codigo código descripcion descripción tipo estado nome cognome
    indirizzo via città citta paese prezzo quantità quantita importo ora anno mese giorno
    codice descrizione stato sobrenome endereço cidade preço valor quantidade naam straat
    stad prijs aantal omschrijving namn adress pris antal beskrivning navn antall nimi
    osoite kaupunki hinta imię nazwisko ulica miasto cena ilość jméno příjmení ulice město
    kód név cím város ár
"""

HEADER_WORDS: frozenset[str] = frozenset(_WORDS.split())
"""In lower case, single words: "unit price" is two of them."""
