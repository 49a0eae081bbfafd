"""Bad CSV files through both doors: one works as expected, or is refused in one sentence that names
the field, the value and the rule, before anything is spent or written."""

import gzip
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dpsynth.data.columns import CategoricalColumn, Column, FloatColumn, IntegerColumn
from dpsynth.data.files import load_file
from dpsynth.data.schema import Schema
from tests.doors import Doors

INTEGER = IntegerColumn(name="a", lower=0, upper=9)
GAPS = IntegerColumn(name="a", lower=0, upper=9, missing=True)
FLOAT = FloatColumn(name="a", lower=0, upper=9)
LARGE = IntegerColumn(name="a", lower=0, upper=2**53 - 1)
TEXT = CategoricalColumn(name="a", categories=("x", "y"))
CODE = CategoricalColumn(name="a", categories=(0, 1, 10))
TRUTH = CategoricalColumn(name="a", categories=(False, True))
B = IntegerColumn(name="b", lower=0, upper=9)


def categories(*texts: str, **rules: Any) -> CategoricalColumn:
    return CategoricalColumn(name="a", categories=texts, **rules)


ACCEPTED: dict[str, tuple[str | bytes, tuple[Column, ...], list[Any]]] = {
    "byte order mark": ("\ufeffa,b\n1,2\n", (INTEGER, B), [1]),
    "byte order mark, quotes": ('\ufeff"a"\n1\n', (INTEGER,), [1]),
    "windows line ends": ("a,b\r\n1,2\r\n3,4\r\n", (INTEGER, B), [1, 3]),
    "old mac line ends": ("a,b\r1,2\r3,4", (INTEGER, B), [1, 3]),
    "no last line end": ("a\n1\n2", (INTEGER,), [1, 2]),
    "quoted line ends": (
        'a\n"x\ny"\n"x\r\ny"\n',
        (categories("x\ny", "x\r\ny"),),
        ["x\ny", "x\r\ny"],
    ),
    "quoted line end in a name": (
        '"a\n"\n1\n',
        (IntegerColumn(name="a\n", lower=0, upper=9),),
        [1],
    ),
    "quotes": ('a\n"x,""y"""\n', (categories('x,"y"'),), ['x,"y"']),
    "a quote within a text": ('a\n5" x\n', (categories('5" x'),), ['5" x']),
    "a constant column": ("a\n3\n3\n", (INTEGER,), [3, 3]),
    "all missing": ("a,b\n,1\n,2\n", (GAPS, B), [pd.NA, pd.NA]),
    "all missing, texts": ("a,b\n,1\n", (categories("x", missing=True), B), [np.nan]),
    "negative zero": ("a\n-0.0\n-0\n", (FLOAT,), [0.0, 0.0]),
    "negative zero, whole": ("a\n-0.0\n-0\n", (INTEGER,), [0, 0]),
    "negative zero, code": ("a\n-0\n-0.0\n", (CODE,), [0, 0]),
    "infinite, clipped": (
        "a\ninf\n-Infinity\n1e400\n",
        (FloatColumn(name="a", lower=0, upper=9, on_invalid="clip"),),
        [9.0, 0.0, 9.0],
    ),
    "numbers as written": (
        "a\n+1\n 2\n3 \n4.\n05\n6e0\n",
        (FLOAT,),
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    ),
    "NaN among numbers": ("a,b\nNaN,1\n1,1\nnan,1\n", (GAPS, B), [pd.NA, 1, pd.NA]),
    "words for missing are texts": (
        "a\nNA\nnull\nNaN\n",
        (categories("NA", "null", "NaN"),),
        ["NA", "null", "NaN"],
    ),
    "truth values": ("a\nTrue\nTRUE\nfalse\n", (TRUTH,), [True, True, False]),
    "another category": (
        "a\n x\n12 kg\n2020-02-31\n",
        (categories("x", "rest", on_invalid="other", other="rest"),),
        ["rest"] * 3,
    ),
    "names that differ in case only": (
        "A,a\n1,2\n",
        (INTEGER, IntegerColumn(name="A", lower=0, upper=9)),
        [2],
    ),
    "a name of 10,000 letters": (
        f"{'n' * 10_000}\n1\n",
        (IntegerColumn(name="n" * 10_000, lower=0, upper=9),),
        [1],
    ),
    "a text of 3 MB": (
        f'a,b\n"{"x" * 3_000_000}",1\n',
        (categories("x" * 3_000_000), B),
        ["x" * 3_000_000],
    ),
    "a name with a semicolon": ("a;b\n1\n", (IntegerColumn(name="a;b", lower=0, upper=9),), [1]),
    "the largest integers": (f"a\n{2**53 - 1}\n{2**53 - 2}\n", (LARGE,), [2**53 - 1, 2**53 - 2]),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_is_no_mistake_works(doors: Doors, case: str) -> None:
    content, columns, expected = ACCEPTED[case]
    (doors.folder / "d.csv").write_bytes(encoded(content))
    schema = Schema(columns=columns)
    values = load_file("d.csv", schema).frame.iloc[:, 0].tolist()
    assert [str(v) for v in values] == [str(v) for v in expected]
    doors.take("d.csv", schema)


REFUSED: dict[str, tuple[str | bytes, tuple[Column, ...], str]] = {
    "mixed types": ("a\n1\nx\n2\n", (INTEGER,), "column 'a' has 'x', but values must be numbers"),
    "mixed types, categories": ("a\nx\n1\n", (TEXT,), "column 'a' has '1', but it must be one of"),
    "NaN does not hide it": ("a\nNaN\n1\nten\n", (GAPS,), "column 'a' has 'ten', but values must"),
    "a unit": ("a\n12\n12 kg\n", (FLOAT,), "column 'a' has '12 kg', but values must be numbers"),
    "a percentage": ("a\n5%\n", (FLOAT,), "column 'a' has '5%', but values must be numbers"),
    "a currency": ("a\n5 €\n", (FLOAT,), "column 'a' has '5 €', but values must be numbers"),
    "thousands": ('a\n"1,234"\n', (INTEGER,), "column 'a' has '1,234', but values must be numbers"),
    "a decimal comma": ('a\n"3,5"\n', (FLOAT,), "column 'a' has '3,5', but values must be numbers"),
    "a formula": ("a\n=1\n", (INTEGER,), "column 'a' has '=1', but values must be numbers"),
    "hexadecimal": ("a\n1\n0x1\n", (INTEGER,), "column 'a' has '0x1', but values must be numbers"),
    "hexadecimal only": (
        "a\n0x1\n",
        (INTEGER,),
        "column 'a' has '0x1', but values must be numbers",
    ),
    "hexadecimal code": ("a\n0x1\n", (CODE,), "column 'a' has '0x1', but it must be one of"),
    "underscores": ("a\n1_0\n", (INTEGER,), "column 'a' has '1_0', but values must be numbers"),
    "underscores in a code": ("a\n1_0\n", (CODE,), "column 'a' has '1_0', but it must be one of"),
    "digits of another script": ("a\n٣\n", (INTEGER,), "column 'a' has '٣', but values must be"),
    "such digits in a code": ("a\n١\n", (CODE,), "column 'a' has '١', but it must be one of"),
    "a no-break space": ("a\n\u00a01\n", (INTEGER,), r"column 'a' has '\xa01', but values must be"),
    "a date": ("a\n2020-02-31\n", (INTEGER,), "column 'a' has '2020-02-31', but values must be"),
    "a date out of range": (
        "a\n99999-01-01\n",
        (categories("1999-01-01"),),
        "has '99999-01-01', but",
    ),
    "a truth value": ("a\nTrue\n", (INTEGER,), "column 'a' has 'True', but values must be numbers"),
    "yes": ("a\nyes\n", (TRUTH,), "column 'a' has 'yes', but it must be one of"),
    "1 for true": ("a\n1\n", (TRUTH,), "column 'a' has '1', but it must be one of"),
    "blanks around a category": ("a\n x\n", (TEXT,), "column 'a' has ' x', but it must be one of"),
    "blanks only": ("a\n  \n", (GAPS,), "column 'a' has '  ', but values must be numbers"),
    "NA among numbers": ("a\n1\nNA\n", (GAPS,), "column 'a' has 'NA', but values must be numbers"),
    "NA for missing": ("a\nNA\n", (categories("x", missing=True),), "column 'a' has 'NA', but it"),
    "all missing": (
        "a,b\n,1\n,1\n",
        (INTEGER, B),
        "column 'a' has nan, but its schema says missing",
    ),
    "all missing, texts": (
        "a,b\n,1\n",
        (TEXT, B),
        "column 'a' has None, but its schema says missing",
    ),
    "infinite": (
        "a\ninf\n",
        (FLOAT,),
        "column 'a' has inf, but values must lie between 0.0 and 9.0",
    ),
    "beyond floats": ("a\n1e400\n", (FLOAT,), "column 'a' has inf, but values must lie between"),
    "10,000 digits": (
        f"a\n{'9' * 10_000}\n",
        (INTEGER,),
        "column 'a' has inf, but values must lie",
    ),
    "10,000 digits in a code": (f"a\n{'9' * 10_000}\n", (CODE,), "column 'a' has '9999"),
    "10,000 letters": (f"a\n{'n' * 10_000}\n", (TEXT,), "column 'a' has 'nnnn"),
    "integers not told apart": (f"a\n{2**53 + 1}\n", (LARGE,), "but values must lie between 0 and"),
    "a fraction": ("a\n1.5\n", (INTEGER,), "column 'a' has 1.5, but values must be whole numbers"),
    "names twice": ("a,a\n1,2\n", (INTEGER,), "column 'a' has 'several columns of that name', but"),
    "names that pandas makes": ("a,a.1\n1,2\n", (INTEGER,), "unknown column of the schema 'a.1'"),
    "another case of letters": (
        "A\n1\n",
        (INTEGER,),
        "unknown column of the table 'a'; did you mean 'A'",
    ),
    "blanks around a name": (
        " a \n1\n",
        (INTEGER,),
        "unknown column of the table 'a'; did you mean ' a '",
    ),
    "a name of 10,000 letters": (f"{'n' * 10_000}\n1\n", (INTEGER,), "known: 'nnnn"),
    "a column without a name": (
        "a,\n1,2\n",
        (INTEGER,),
        "table has 'a column without a name', but",
    ),
    "an index of pandas": (",a\n0,1\n", (INTEGER,), "table has 'a column without a name', but"),
    "a column too many": ("a,c\n1,2\n", (INTEGER,), "unknown column of the schema 'c'"),
    "a column too few": ("a\n1\n", (INTEGER, B), "unknown column of the table 'b'"),
    "10,000 columns too many": (
        f"a,{','.join(f'c{i}' for i in range(10_000))}\n{'1,' * 10_000}1\n",
        (INTEGER,),
        "unknown column of the schema 'c0'",
    ),
    "a comment": ("# made by hand\na\n1\n", (INTEGER,), "unknown column of the table 'a'"),
    "an empty file": ("", (INTEGER,), "d.csv: it must hold a header line and at least one record"),
    "blank lines": ("\n\n\n", (INTEGER,), "it must hold a header line and at least one record"),
    "a header only": ("a\n", (INTEGER,), "table has 'no rows', but at least one is needed"),
    "a header, no line end": (
        "a",
        (INTEGER,),
        "it must hold a header line and at least one record",
    ),
    "a short record": (
        "a,b\n1,2\n\n3\n",
        (INTEGER, B),
        "record 2 has fewer fields (1) than the header line (2)",
    ),
    "a long record": (
        "a,b\n1,2,3\n",
        (INTEGER, B),
        "record 1 has more fields (3) than the header line (2)",
    ),
    "a comma too many": (
        "a\n1,\n",
        (INTEGER,),
        "record 1 has more fields (2) than the header line (1)",
    ),
    "semicolons": (
        "a;b\n1;2\n",
        (INTEGER, B),
        "its fields are separated by semicolons, but they must",
    ),
    "semicolons, quotes": (
        '"a";"b"\n1,5;2\n',
        (INTEGER, B),
        "its fields are separated by semicolons",
    ),
    "tabs": (
        "a\tb\n1\t2\n",
        (INTEGER, B),
        "its fields are separated by tabs, but they must be by commas",
    ),
    "an open quote": (
        'a,b\n1,2\n"3,4\n5,6\n',
        (INTEGER, B),
        "d.csv: line 3 opens a quote that is never closed",
    ),
    "an open quote at the end": ('a\nx\n"y', (TEXT,), "line 3 opens a quote that is never closed"),
    "two open quotes": (
        'a,b\n"x,1\n"y,2\n',
        (categories("x", "rest", on_invalid="other", other="rest"), B),
        "line 2 has text behind a closing quote",
    ),
    "an open quote, 9 MB": (
        b'a\n"x\n' + b"x\n" * 4_500_000,
        (TEXT,),
        "line 2 opens a quote that is never",
    ),
    "text behind a quote": ('a\n"1"2\n', (INTEGER,), "line 2 has text behind a closing quote"),
    "latin-1": (
        "a\nx\nMänner\n".encode("latin-1"),
        (TEXT,),
        "line 3 holds the byte 0xe4, so it is not a text in UTF-8; if it is in Latin-1",
    ),
    "latin-1 in the header": (
        "ä\n1\n".encode("latin-1"),
        (INTEGER,),
        "line 1 holds the byte 0xe4, so",
    ),
    "latin-1 after 9 MB": (
        b"a\n" + b"x\n" * 4_500_000 + b"\xe4\n",
        (TEXT,),
        "line 4500002 holds the byte 0xe4",
    ),
    "half a character": (
        b"a\nx\n\xc3",
        (TEXT,),
        "line 3 holds the byte 0xc3, so it is not a text in UTF-8",
    ),
    "UTF-16": (
        "a\n1\n".encode("utf-16"),
        (INTEGER,),
        "it is a text in UTF-16: convert it to UTF-8, for",
    ),
    "UTF-16, no mark": (
        "a,b\n1,2\n".encode("utf-16-le"),
        (INTEGER, B),
        "it is a text in UTF-16: convert it",
    ),
    "UTF-32": (
        "a\n1\n".encode("utf-32"),
        (INTEGER,),
        "it is a text in UTF-32: convert it to UTF-8, for",
    ),
    "a NUL": (b"a\n1\0\n", (INTEGER,), r"column 'a' has '1\x00', but values must be numbers"),
    "a NUL in a name": (
        b"a\0\n1\n",
        (INTEGER,),
        r"unknown column of the table 'a'; did you mean 'a\x00'",
    ),
    "gzip": (gzip.compress(b"a\n1\n"), (INTEGER,), "d.csv: it is packed (gzip): unpack it first"),
    "a workbook": (
        b"PK\x03\x04" + bytes(40),
        (INTEGER,),
        "it is a zip file or an Excel workbook: save",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_a_mistake_is_one_sentence(doors: Doors, case: str) -> None:
    content, columns, said = REFUSED[case]
    (doors.folder / "d.csv").write_bytes(encoded(content))
    sentence = doors.refuse("d.csv", Schema(columns=columns), said)
    doors.refuse_in_blocks("d.csv", sentence)


def encoded(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
