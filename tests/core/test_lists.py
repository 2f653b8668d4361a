"""The reader of lists: every dialect gives the same cells, and no row is lost."""

import codecs

import pytest

from avsynth.core.lists import fold, parse_columns, parse_list, read_columns, read_list
from avsynth.runtime.errors import DataError

TABLE = 'Name,Split,note\nAAAAAAAAAAA,train,"a, b"\nBBBBBBBBBBB,test,plain\n'
DIALECTS = {
    "plain": TABLE.encode(),
    "bom": codecs.BOM_UTF8 + TABLE.encode(),
    "utf-16": TABLE.encode("utf-16"),
    "utf-16-be": codecs.BOM_UTF16_BE + TABLE.encode("utf-16-be"),
    "crlf": TABLE.replace("\n", "\r\n").encode(),
    "cr": TABLE.replace("\n", "\r").encode(),
    "semicolons": b"name;split;note\nAAAAAAAAAAA;train;a, b\nBBBBBBBBBBB;test;plain\n",
    "tabs": b"name\tsplit\tnote\nAAAAAAAAAAA\ttrain\ta, b\nBBBBBBBBBBB\ttest\tplain\n",
    "told": b"sep=;\nname;split;note\nAAAAAAAAAAA;train;a, b\nBBBBBBBBBBB;test;plain\n",
    "blanks": b'NAME , split , note\nAAAAAAAAAAA , train , "a, b" \n BBBBBBBBBBB,test,plain \n',
    "quotes": b'"name","split","note"\n"AAAAAAAAAAA","train","a, b"\n"BBBBBBBBBBB","test","plain"',
    "empty rows": TABLE.replace("\n", "\n\n").encode() + b",,\n",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_gives_the_same_rows(dialect, tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(DIALECTS[dialect])
    rows = read_columns(path, ("name", "split"), "Fix it.")
    assert [(row["name"], row["split"], row["note"], row.fault) for row in rows] == [
        ("AAAAAAAAAAA", "train", "a, b", ""),
        ("BBBBBBBBBBB", "test", "plain", ""),
    ]
    assert [row.cells for row in read_list(path, "rows", "Fix it.")][-1][0] == "BBBBBBBBBBB"


@pytest.mark.parametrize("stray", ['a,"x,1', 'a,x"",1"', '"a,x,1', 'a,"x"y,1'])
def test_a_stray_quote_spoils_its_own_line_only(stray):
    rows = list(parse_list(f'p,q,1\n{stray}\nb,"y, z",2\nc,w,3\n'))
    assert [row.line for row in rows] == [1, 2, 3, 4]
    assert [row.cells for row in rows[2:]] == [("b", "y, z", "2"), ("c", "w", "3")]
    assert rows[1].fault or len(rows[1].cells) == 3


def test_a_cell_may_have_line_breaks_of_any_kind():
    _, rows = parse_columns('name,note\na,"one\ntwo"\nb,one\u2028two\n', ("name",))
    assert [(row.line, row["name"], row["note"]) for row in rows] == [
        (2, "a", "one\ntwo"), (4, "b", "one\u2028two"),
    ]  # fmt: skip


def test_comments_are_skipped_and_damaged_ids_are_not():
    rows = list(parse_list("# a comment\n#\n#NAME?,7,dog\n#REF!,7,dog\n"))
    assert [row.line for row in rows] == [3, 4]


@pytest.mark.parametrize("row", ["a", "a,b,c,d"])
def test_a_row_of_another_length_has_a_fault_and_its_line(row):
    _, rows = parse_columns(f"name,split,note\n{row}\n", ("name", "split"))
    assert (rows[0].line, bool(rows[0].fault)) == (2, True)


@pytest.mark.parametrize(
    "content", [b"name\n\xff\xfe\n", b"na\0me\n", b"", b"name,name\na,b\n", b"other\na\n"]
)
def test_a_list_that_cannot_be_understood_is_refused(content, tmp_path):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"list\.csv"):
        read_columns(tmp_path / "list.csv", ("name",), "Fix it.")


def test_known_values_have_one_form():
    assert {fold(text) for text in ("Dog barking", "dog_barking", " DOG-Barking ")} == {
        "dog_barking"
    }
    assert fold("caf\u00e9") == fold("Cafe\u0301")
