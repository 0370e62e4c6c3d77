"""Tables inside gzip: the same rows as unpacked, and no trap springs."""

import gzip
from pathlib import Path

import pytest

from dropload.errors import FileError
from dropload.model import Profile, Verdict
from dropload.parsers import compressed, find_parser
from dropload.profiling import profile_file
from tests.conftest import Yard, open_yard

TABLE = "id;name;day\n" + "".join(f"{n};näme {n};2024-01-02\n" for n in range(5000))


def read(path: Path) -> Profile:
    parser = find_parser(path)
    return profile_file(
        path, parser.detect(path), parser, hash_algorithm="sha256", max_record_bytes=1 << 20
    )


def test_a_packed_file_loads_as_its_content_would(yard: Yard) -> None:
    packed = gzip.compress(TABLE.encode("cp1252"))
    loaded = yard.drop("orders_20240102.csv.gz", packed)
    assert (loaded.verdict, loaded.rows_loaded) == (Verdict.LOADED, 5000), loaded
    assert yard.table("dbo.orders")[4999] == (4999, "näme 4999", "2024-01-02")
    again = yard.drop("orders.csv.gz", packed)
    assert again.verdict is Verdict.DUPLICATE


def test_archives_of_several_parts_are_read_to_their_end(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    half = TABLE.find("2500;")
    path.write_bytes(
        gzip.compress(TABLE[:half].encode()) + gzip.compress(TABLE[half:].encode()) + bytes(512)
    )
    profile = read(path)
    assert (profile.rows, profile.size_bytes) == (5000, path.stat().st_size)


@pytest.mark.parametrize("cut", [5, 40, 3000])
def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(TABLE.encode())[:cut])
    with pytest.raises(FileError) as caught:
        read(path)
    assert caught.value.code == "damaged_archive"


def test_damage_and_what_is_no_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    damaged = bytearray(gzip.compress(TABLE.encode()))
    damaged[len(damaged) // 2] ^= 0xFF
    for content in (bytes(damaged), TABLE.encode()):
        path.write_bytes(content)
        with pytest.raises(FileError) as caught:
            read(path)
        assert caught.value.code == "damaged_archive"


def test_an_archive_that_unpacks_to_no_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "_FREE_BYTES", 1 << 20)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 3_000_000))
    with pytest.raises(FileError) as caught:
        read(path)
    assert caught.value.code == "expansion"


def test_refused_rows_come_back_unpacked(tmp_path: Path) -> None:
    yard = open_yard(tmp_path, load={"max_rejected_rows": 1})
    loaded = yard.drop("orders.csv.gz", gzip.compress(b"id,name,day\n1,a,x\n2\n3,b,y\n"))
    assert loaded.verdict is Verdict.LOADED, loaded
    [rejects] = tmp_path.rglob("*_orders.rejects.csv")
    assert rejects.read_text().splitlines()[1].startswith("2,")
    yard.dock.target.close()
