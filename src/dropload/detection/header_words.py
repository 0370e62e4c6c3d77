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
    kód név cím város ár ad adı soyad isim şehir ülke tarih tutar fiyat miktar adet açıklama
    имя фамилия отчество название наименование город страна адрес дата время год месяц день
    номер код тип цена сумма количество описание телефон почта статус категория клиент товар
    область улица комментарий назва місто країна адреса ціна кількість сума рік име град
    όνομα επώνυμο πόλη χώρα ημερομηνία τιμή ποσό ποσότητα διεύθυνση κωδικός περιγραφή τηλέφωνο
    שם עיר מדינה תאריך כתובת מחיר כמות סכום קוד תיאור טלפון
    الاسم اسم المدينة مدينة البلد بلد الدولة التاريخ تاريخ العنوان السعر الكمية المبلغ الرقم رقم
    名前 氏名 名称 住所 都市 市 国 国名 県 都道府県 日付 時間 年 月 日 金額 価格 数量 単価 合計
    番号 コード 種類 分類 説明 備考 電話番号 電話 性別 年齢 商品 商品名 会社 会社名 顧客 部署 姓
    名 姓名 城市 国家 地址 日期 时间 金额 价格 单价 数量 总计 编号 代码 类型 类别 描述 备注 电话
    性别 年龄 产品 公司 客户 部门 省份 城市名 國家 時間 金額 價格 單價 編號 代碼 類型 類別 備註
    電話 年齡 產品 이름 성명 도시 국가 주소 날짜 일자 시간 금액 가격 수량 합계 번호 코드 종류
    분류 설명 비고 전화 전화번호 성별 나이 상품 상품명 회사 고객 부서
"""

HEADER_WORDS: frozenset[str] = frozenset(_WORDS.split())
"""In lower case, single words: "unit price" is two of them."""
