"""What must be true of the answer to: how is this file written?"""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dropload.detection import detect_layout, scan
from dropload.detection.codepage import guess_codepage
from dropload.detection.encoding import _split_foreign_lines
from dropload.detection.sample import HEAD_BYTES, read_sample, split_lines
from dropload.detection.splitting import Dialect, Splitter
from dropload.errors import FileError
from dropload.model import Layout

LAYOUTS = Path(__file__).parent.parent / "files" / "layouts"
EXPECTED = sorted(LAYOUTS.glob("*.json"))
# Keys that are about the rows of a file: see test_corpus.
OF_ROWS = {"rows", "types", "rejects", "footer", "rejected_rows", "read_error", "read_message"}


def describe(layout: Layout) -> dict[str, Any]:
    """Return the layout under the names that the expectations use."""
    return {
        "encoding": layout.encoding,
        "delimiter": layout.delimiter,
        "quotechar": layout.quotechar,
        "escapechar": layout.escapechar,
        "header": layout.header,
        "skip_lines": layout.skip_lines,
        "columns": layout.width,
        "column_names": list(layout.header_names),
        "skip_initial_space": layout.skip_initial_space,
        "has_bom": layout.has_bom,
        "header_lines": layout.header_lines,
        "doubt": bool(layout.doubt),
    }


def detect_bytes(folder: Path, data: bytes) -> Layout:
    """Return the layout of a file with these bytes."""
    path = folder / "dropped.csv"
    path.write_bytes(data)
    return detect_layout(path)


@pytest.mark.parametrize("expectation", EXPECTED, ids=lambda path: path.stem)
def test_sample_file_is_recognised_as_its_expectation_says(expectation: Path) -> None:
    expected = json.loads(expectation.read_text(encoding="utf-8"))
    path = expectation.with_suffix("")
    if "error" in expected:
        with pytest.raises(FileError) as caught:
            detect_layout(path)
        assert caught.value.code == expected["error"]
        assert caught.value.hint
        return
    layout = detect_layout(path)
    found = describe(layout)
    wanted = {key: value for key, value in expected.items() if key not in OF_ROWS}
    assert {key: found[key] for key in wanted} == wanted, layout.evidence


def test_every_sample_file_has_an_expectation() -> None:
    samples = {path.name for path in LAYOUTS.iterdir() if path.suffix != ".json"}
    assert samples == {path.stem for path in EXPECTED}


@pytest.mark.parametrize("expectation", EXPECTED, ids=lambda path: path.stem)
def test_answer_comes_with_a_confidence_and_sentences(expectation: Path) -> None:
    try:
        layout = detect_layout(expectation.with_suffix(""))
    except FileError:
        return
    assert 0 <= layout.confidence <= 1
    assert layout.evidence
    assert all(layout.evidence)


def test_blanks_that_are_too_many_to_look_behind_are_said_and_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="first megabyte of the file holds nothing but blanks"):
        detect_bytes(tmp_path, b"\n" * 2_000_000 + b"a,b\n1,2\n")


def test_missing_file_is_reported_as_the_system_says(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        detect_layout(tmp_path / "gone.csv")


def test_workbook_error_names_the_workbook_and_the_way_out() -> None:
    with pytest.raises(FileError, match=r"Excel workbook.*Save it as CSV"):
        detect_layout(LAYOUTS / "workbook.csv")


def test_workbook_saved_as_xml_is_called_a_workbook() -> None:
    with pytest.raises(FileError, match="an Excel workbook saved as XML"):
        detect_layout(LAYOUTS / "excel_as_xml.csv")


def test_encoding_error_names_line_and_byte_of_the_first_bad_place(tmp_path: Path) -> None:
    good = "1;Müller;Köln;größer\n".encode() * 4
    with pytest.raises(FileError) as caught:
        detect_bytes(tmp_path, good + b"2;M\xfcller;x;y\n" + good)
    assert caught.value.code == "encoding"
    assert f"Line 5, byte {len(good) + 3}: 0xFC" in caught.value.message


def test_stray_byte_far_behind_the_only_letters_beyond_ascii_is_named(tmp_path: Path) -> None:
    data = "id,n\n1,Zoë\n2,Müller\n".encode() + b"3,plain\n" * 200_000 + b"4,Zo\xeb\n"
    with pytest.raises(FileError, match=r"^Line 200,004, byte 1,600,026: 0xEB is not valid UTF-8"):
        detect_bytes(tmp_path, data)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("id,n\r1,Zoë\r2,Müller\r".encode() + b"3,Zo\xeb\r", 4),
        (b"\xff\xfe" + "id,\u0a0a\n1,\u010a\n".encode("utf-16-le") + b"\x00\xd8a\x00", 3),
    ],
)
def test_line_of_a_bad_byte_is_counted_by_line_ends_not_by_bytes(
    tmp_path: Path, data: bytes, line: int
) -> None:
    with pytest.raises(FileError, match=rf"^Line {line}, "):
        detect_bytes(tmp_path, data)


def test_terminal_colours_are_no_encoding(tmp_path: Path) -> None:
    assert detect_bytes(tmp_path, b"id,log\n1,\x1b[31mred\x1b[0m\n").encoding == "utf-8"


PIECES = (b"\xe4", b"\xff\xfe", b"\n", b"\r", b"\r\n", b"a;b", b"c" * 150, b"d" * 1_500)


@example(b"\xe4" + b"d" * 2_100 + b"\xe4")
@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join))
def test_lines_with_foreign_bytes_are_found_with_what_stands_before(chunk: bytes) -> None:
    expected = re.findall(rb"[^\r\n\x80-\xff]{0,200}[\x80-\xff][^\r\n]{0,2000}", chunk)
    assert list(_split_foreign_lines(chunk)) == expected


def test_foreign_byte_far_behind_the_sample_is_seen(tmp_path: Path) -> None:
    data = b"id,name\n" + b"1,plain\n" * 300_000 + "2,Zoë\n".encode("cp1252")
    assert detect_bytes(tmp_path, data).encoding == "cp1252"


def test_utf8_character_on_the_border_of_two_chunks_is_whole(tmp_path: Path) -> None:
    filler = b"x,y\n" * (1024 * 1024 // 4 - 1) + b"a,b"
    assert detect_bytes(tmp_path, filler + "ü,1\n".encode() * 9).encoding == "utf-8"


def test_quote_that_comes_after_the_sample_is_found(tmp_path: Path) -> None:
    data = b"'id','text'\n" + b"'1','a, b'\n" * 20 + b"'2','c'\n" * 20_000
    assert detect_bytes(tmp_path, data).quotechar == "'"
    plain = b"id\tsize\n" + b"1\t5\n" * 40_000
    late = plain + b'2\t"7\t8"\n' * 3 + plain[8:]
    assert detect_bytes(tmp_path, late).quotechar == '"'


def test_quotes_that_enclose_nothing_at_first_are_looked_for_in_the_whole_file(
    tmp_path: Path,
) -> None:
    begin = b'name,score\n"Anna" Smith,5\n' + b"Bob,3\n" * (HEAD_BYTES // 2)
    assert detect_bytes(tmp_path, begin).quotechar == ""
    late = b'"6"" pipe",3\n"Kim ""K"" Lee",4\n' + b"Bob,3\n" * HEAD_BYTES
    assert detect_bytes(tmp_path, begin + late).quotechar == '"'


def test_all_text_table_says_so_in_its_evidence(tmp_path: Path) -> None:
    layout = detect_bytes(tmp_path, b"name,city\nAnna,Rome\nBob,Oslo\nCem,Bern\n")
    assert any("all columns are text" in sentence for sentence in layout.evidence)


def test_certain_layout_is_more_confident_than_a_doubtful_one(tmp_path: Path) -> None:
    rows = "".join(f"{n},{n * 1.5},2024-01-{n % 28 + 1:02}\n" for n in range(100))
    certain = detect_bytes(tmp_path, f"id,amount,day\n{rows}".encode())
    assert certain.confidence > 0.9
    assert detect_bytes(tmp_path, b"a b, c\nd\n").confidence < 0.6


def test_header_names_are_as_written(tmp_path: Path) -> None:
    layout = detect_bytes(tmp_path, b'"Order ID", "Net ""amount""" , X.Y\n1, 2.5, 3\n4, 5.5, 6\n')
    assert layout.header_names == ("Order ID", 'Net "amount"', "X.Y")


def test_ten_thousand_columns_are_told_apart(tmp_path: Path) -> None:
    head = ",".join(f"sensor_{n}" for n in range(10_000))
    row = ",".join(str(n / 7) for n in range(10_000))
    layout = detect_bytes(tmp_path, f"{head}\n{row}\n{row}\n{row}\n".encode())
    assert (layout.width, layout.header) == (10_000, True)


@pytest.mark.parametrize("piece", [b"a", b'"', b"a,", b'",', b"' ", b'\\"', b"1;", b"- "])
def test_one_endless_line_is_answered_from_its_beginning(tmp_path: Path, piece: bytes) -> None:
    """What it costs is measured in benchmarks/detection.py"""
    data = piece * (8_000_000 // len(piece))
    sample = read_sample(io.BytesIO(data), "utf-8", len(data), -1)
    pieces = (sample.head, *sample.stretches)
    assert sum(len(line) for lines in pieces for line in lines) < 2 * HEAD_BYTES
    detect_bytes(tmp_path, data)


def test_lines_end_where_people_see_them_end() -> None:
    assert split_lines("a\r\nb\rc\nd\x0be\x85f\n") == ["a", "b", "c", "d\x0be\x85f"]


def test_quote_that_never_closes_costs_one_row_only() -> None:
    lines = ["a,b", '1,"x', "2,y", '3,"z, z"', "4,w"]
    cells = Splitter(Dialect(",")).split(lines).cells
    assert cells == [["a", "b"], ["1", '"x'], ["2", "y"], ["3", "z, z"], ["4", "w"]]


def test_quoted_cell_may_go_on_over_lines() -> None:
    records = Splitter(Dialect(";")).split(['1;"a', "", 'b""c";2', "3;d;4"])
    assert records.cells == [["1", 'a\n\nb"c', "2"], ["3", "d", "4"]]
    assert records.lines == [0, 3]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Hôtel de la Forêt, à côté du café; déjà réservé pour août\nnoël, élève"),
        ("cp1252", "El Niño comió jamón y piñones en la montaña de Cáceres"),
        ("cp1252", "Ærø og Åbenrå, Østerbro, Malmö, Gävle, Tromsø, Jyväskylä"),
        ("cp1250", "Příliš žluťoučký kůň úpěl ďábelské ódy, Plzeň, Břeclav"),
        ("cp1250", "Árvíztűrő tükörfúrógép, Győr, Székesfehérvár, Hódmezővásárhely"),
        ("cp1251", "Быстрая коричневая лиса прыгает через ленивую собаку"),
        ("cp866", "Быстрая коричневая лиса прыгает через ленивую собаку"),
        ("iso-8859-7", "Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί"),
        ("cp1255", "ירושלים, תל אביב, חיפה, באר שבע, נתניה ואשדוד"),
        ("cp1256", "القاهرة، بغداد، دمشق، الرياض، بيروت والدار البيضاء"),
        ("euc-jp", "東京都の天気は晴れのち曇り、大阪は雨でしょう"),
        ("big5", "臺北市的天氣晴朗，高雄市下雨，學生們都回家了"),
        ("cp949", "대한민국 서울은 맑고 부산은 비가 오겠습니다"),
        ("iso-8859-7", "id,name\n1,Λεωνίδας\n2,Αλέξανδρος\n3,Ηρώ\n4,Γιώργος"),
        ("cp1253", "ΠΡΟΪΟΝ,ΤΙΜΗ\nΓΑΛΑ,1.20\nΨΩΜΙ,0.90\nΤΥΡΙ,8.50"),
        ("koi8-r", "ТОВАР;КОЛ-ВО\nМОЛОКО;3\nХЛЕБ;5\nЯЙЦО КУРИНОЕ;10"),
        ("cp1251", "област,население\nБлагоевград,300000\nБургас,400000\nЯмбол,120000"),
        ("iso-8859-5", "стока,брой\nХляб,3\nСирене,2\nКисело мляко,12"),
        ("cp1255", "id,status\n1,שולם\n2,בוטל\n3,ממתין"),
        ("cp1256", "الاسم,المدينة\nمحمد علي,القاهرة\nفاطمة حسن,بغداد"),
        ("cp874", "ชื่อ,เมือง\nสมชาย ใจดี,กรุงเทพ\nวิชัย ศรีสุข,ขอนแก่น"),
        ("cp1257", "vardas;miestas\nRūta Šimkutė;Šiauliai\nĄžuolas Čepaitis;Klaipėda"),
        ("cp1257", "vārds,pilsēta\nJānis Bērziņš,Rīga\nLīga Ozoliņa,Jēkabpils"),
        ("cp1254", "ad,şehir\nAyşe,İstanbul\nGökhan,Eskişehir\nŞükrü,Muğla"),
        ("cp1250", "név,város\nSzőke Gábor,Győr\nKovács Ödön,Székesfehérvár\nTóth Jenő,Pécs"),
        ("iso-8859-2", "meno;mesto\nĽubomír Kováč;Košice\nŠtefan Horváth;Žilina\nJán Ďurica;Nitra"),
        ("iso-8859-2", "zboží;počet\nŽidle;4\nStůl kulatý;1\nSkříň šatní;2"),
        ("cp852", "nume,oraş\nŞtefan Ionescu,Bucureşti\nMălina Rădulescu,Iaşi"),
        ("cp852", "imię;miasto\nŁukasz;Łódź\nMałgorzata;Kraków\nPaweł;Gdańsk"),
        ("cp850", "código;descripción;año\n1;Camión eléctrico;2020\n2;Pañuelo de algodón;2022"),
        ("cp437", "prénom,ville\nHélène,Orléans\nAndré,Besançon\nZoé,Angoulême"),
        ("mac-roman", "vare,størrelse\nBrød,stor\nSmør,liten\nKjøttkaker,middels"),
        ("cp1252", "nafn,bær\nGuðrún Þórðardóttir,Reykjavík\nJón Sigurðsson,Ísafjörður"),
        ("cp1252", "nome,città\nNiccolò,Forlì\nNicolò,Nardò"),
        ("cp1252", "id,place\n1,Zürich\n2,Bern"),
        ("euc-jp", "氏名,住所\n山田太郎,東京都千代田区\n佐藤花子,大阪府大阪市北区"),
        ("gb18030", "姓名,城市\n王小明,北京\n李娜,上海\n张伟,广州"),
    ],
)
def test_text_in_a_code_page_is_read_back_as_it_was(encoding: str, text: str) -> None:
    sample = text.encode(encoding)
    assert sample.decode(guess_codepage(sample.splitlines())[0].name) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "id,price\n" + "1,€1.50\n" * 5),
        ("cp1252", "item;price\n" + "".join(f"Bolt {n};{n},00 €\n" for n in range(299))),
        ("cp1252", "item,price\n" + "".join(f"Bolt {n},£{n}.00\n" for n in range(299))),
        ("cp1252", "item,price (£)\nBolt,1.00\n"),
        ("cp1252", "sample,v µm\na,1\n"),
        ("cp1252", "sample,µg/m³\na,1\n"),
        ("cp1252", "sample,v\na,10±1\nb,12 ± 2\n"),
        ("cp1252", "sample,v\na,½ l\nb,1½\n"),
        ("cp1252", "sample,v\na,¼ l\nb,¾ l\n"),
        ("cp1252", "room,temp\na,21°C\nb,22 °C\n"),
        ("cp1252", "case,law\n1,§ 5\n2,§7 Abs. 2\n"),
        ("cp1252", "name,owner\na,© 2020 Foo\nb,Bar®\n"),
        ("cp1252", "part,size\na,10×20\nb,10 × 30 mm²\n"),
        ("cp1252", "part,price\na,¥12\nb,12 ¥\n"),
        ("cp1252", "part,share\na,12 ‰\nb,13‰\n"),
        ("cp1252", "street,nº\na,1\n"),
        ("cp1252", "id,quote\na,„Haus“\nb,«Hof»\n"),
        ("cp1252", "id,quote\na,‚Haus‘\n"),
        ("cp1252", "id,sign\na,x\nb,¦\n"),
        ("cp932", "id,price\n1,100円\n2,200円\n"),
        ("big5", "id,sex\n1,男\n2,女\n"),
        ("cp1250", "id,price\n" + "".join(f"{n},{n}.50 zł\n" for n in range(9))),
        ("cp1250", "id,name\n1,Łukasz\n2,Nowak\n"),
        ("cp1250", "id,name\n1,Paweł\n2,Michał\n"),
        ("iso-8859-15", "titre;prix\nA;3 €\nB;4 €\n"),
        ("mac-roman", "id,said\n1,it’s\n2,don’t\n"),
        ("cp866", "id;ja\n" + "1;да\n2;нет\n" * 200),
        ("cp850", "id,beer\n1,Kölsch\n2,Kölsch\n"),
    ],
)
def test_few_foreign_characters_are_read_back_as_they_were(encoding: str, text: str) -> None:
    sample = text.encode(encoding)
    assert sample.decode(guess_codepage(sample.splitlines())[0].name) == text


def test_quote_left_open_on_every_line_costs_no_more_than_reading(tmp_path: Path) -> None:
    assert detect_bytes(tmp_path, b'1,"a\n' * 500_000).delimiter == ","


@settings(
    deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.binary(max_size=400)
    | st.text(alphabet="a1,;\t|\"' \\\n\r#:é.-", max_size=200).map(str.encode)
)
def test_no_bytes_whatever_end_in_anything_but_a_layout_or_a_file_error(
    tmp_path: Path, data: bytes
) -> None:
    try:
        layout = detect_bytes(tmp_path, data)
    except FileError as error:
        assert error.code in {"not_delimited", "binary", "encoding"}  # noqa: PT017
    else:
        assert 0 <= layout.confidence <= 1
        assert layout.header_names or not data.strip() or not layout.confidence
        data.decode(layout.encoding)


WORD = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDE", min_size=1, max_size=9)
CELLS = st.tuples(WORD, st.integers(0, 10**6).map(str), st.dates().map(str), WORD)


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    delimiter=st.sampled_from(",;\t|"),
    rows=st.lists(CELLS, min_size=4, max_size=30),
    width=st.integers(3, 4),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_table_written_with_a_delimiter_is_read_with_it(
    tmp_path: Path, delimiter: str, rows: list[tuple[str, ...]], width: int, quoting: Any
) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting).writerows(row[:width] for row in rows)
    layout = detect_bytes(tmp_path, out.getvalue().encode())
    assert (layout.delimiter, layout.width, layout.skip_lines) == (delimiter, width, 0)


GOOD = ["", "abc", 'łó"dź', "日本語,あ", "😀x😀", "a\x1bł", "\U0010ffff\ud7ff"]
BAD = [
    *(b"\xed\xa0\x80", b"\xc0\xaf", b"\xe0\x80\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80"),
    *(b"\x80", b"\xbf\xbf\xbf\xbf\xbf", b"\xc5", b"\xe6\x97", b"\xf0\x9f\x98", b"\xff", b"\xc5a"),
]
"""Surrogates, longer forms than needed, beyond Unicode, no beginning, no end, no such byte."""


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5, 1000])
def test_the_quick_look_at_utf8_says_what_strict_decoding_says(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "CHUNK_BYTES", chunk_bytes)
    whole = [text.encode() for text in GOOD]
    broken = [before + bad + after for bad in BAD for before in whole for after in whole]
    for data in [*whole, *broken]:
        try:
            data.decode()
            bad_offset = -1
        except UnicodeDecodeError as error:
            bad_offset = error.start
        found = scan.scan_file(io.BytesIO(data), "utf-8")
        assert found.bad_offset == bad_offset, data
        if bad_offset < 0:
            places = data.find(b'"'), data.find(b"\x1b")
            assert (found.quote_offset, found.escape_offset) == places, data
            assert found.is_ascii is data.isascii()
