"""Programs that keep the contract, and that break it, as text for files of their own."""

START = """
import json, sys, time
from pathlib import Path
import numpy as np
import pandas as pd
folder = Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
codes = pd.read_parquet(folder / "train_codes.parquet")
records = pd.read_parquet(folder / "train.parquet")
answer = {"versions": {"toy": "1.2"}, "epsilon": request["epsilon"], "seconds": 0.5}
"""
END = """
(folder / "response.json").write_text(json.dumps(answer))
"""
CODES = 'codes.to_parquet(folder / "synthetic_codes.parquet")\n'
RECORDS = 'records.to_parquet(folder / "synthetic.parquet")\n'
CRASH = 'print("loading"); raise RuntimeError("no such mechanism")\n'


def adapter(body: str, *, end: str = END) -> str:
    """Return a program that does `body` between reading what is asked and answering."""
    return START + body + end


def changed(line: str, *, written: str = CODES) -> str:
    """Return a program that changes the records by `line` before it returns them."""
    return adapter(line + "\n" + written)


BREACHES: dict[str, tuple[str, str]] = {
    "writes nothing": ("pass", "it left no response.json"),
    "answers alone": (adapter(""), "it left neither of synthetic.parquet"),
    "leaves both": (adapter(CODES + RECORDS), "it left both of"),
    "no answer": (adapter(CODES, end=""), "it left no response.json"),
    "not JSON": (
        adapter(CODES, end='(folder / "response.json").write_text("{")'),
        "is not as agreed",
    ),
    "not a table of JSON": (
        adapter(CODES, end='(folder / "response.json").write_text("[1]")'),
        "is not as agreed",
    ),
    "not UTF-8": (
        adapter(CODES, end='(folder / "response.json").write_bytes(b"\\xff\\xfe")'),
        "is not as agreed",
    ),
    "a folder for an answer": (
        adapter(CODES, end='(folder / "response.json").mkdir()'),
        "it left no response.json",
    ),
    "a huge answer": (
        adapter(CODES, end='(folder / "response.json").write_text(" " * (2**20 + 1))'),
        "more than 1048576 bytes",
    ),
    "no versions": (changed('answer["versions"] = {}'), "versions"),
    "long versions": (changed('answer["versions"] = {"a": "1" * 81}'), "80 plain characters"),
    "a version of two lines": (changed('answer["versions"] = {"a": "1\\n2"}'), "plain characters"),
    "an unknown key of two lines": (changed('answer["a\\nb"] = 1'), "is not as agreed"),
    "a version that is none": (changed('answer["versions"] = {"a": 1}'), "is not as agreed"),
    "an unknown key": (changed('answer["epsilno"] = 1'), "epsilno"),
    "epsilon of NaN": (changed('answer["epsilon"] = float("nan")'), "is not as agreed"),
    "a column less": (changed("codes = codes.iloc[:, :1]"), "no codes"),
    "a column more": (changed('codes["c"] = 0'), "unknown column of codes 'c'"),
    "numbered columns": (
        changed('codes.columns = ["0", "1"]'),
        "unknown column of codes '0'",
    ),
    "a code too large": (changed("codes.iloc[0, 0] = 4"), "the integers 0 to 3"),
    "a code below 0": (changed("codes.iloc[0, 0] = -1"), "the integers 0 to 3"),
    "half a code": (changed('codes["x0"] = codes["x0"] / 2 + 0.25'), "the integers 0 to 3"),
    "NaN": (changed('codes["x0"] = codes["x0"].where(codes.index > 0)'), "has nan"),
    "infinity": (changed('codes["x0"] = codes["x0"] + np.inf'), "has inf"),
    "texts": (changed('codes["x0"] = "a"'), "values of type"),
    "truth values": (changed('codes["x0"] = codes["x0"] > 0'), "values of type bool"),
    "zero rows": (changed("codes = codes.iloc[:0]"), "no rows"),
    "too many rows": (changed("codes = pd.concat([codes, codes])"), "are the most"),
    "no Parquet": (
        adapter('(folder / "synthetic_codes.parquet").write_text("x0,x1")'),
        "it is not a Parquet file",
    ),
    "an unknown category": (
        changed('records = records.astype(str).replace({"0": "never"})', written=RECORDS),
        "never",
    ),
    "records of NaN": (
        changed("records = records.astype(object); records.iloc[0, 0] = None", written=RECORDS),
        "column 'x0'",
    ),
    "zero records": (changed("records = records.iloc[:0]", written=RECORDS), "no rows"),
    "records of other columns": (
        changed('records = records.rename(columns={"x0": "x9"})', written=RECORDS),
        "x9",
    ),
}
"""What is left that must not be -> (the program, what is said of it), of x0 (4 codes), x1 (3)."""

ENDINGS: dict[str, tuple[str, str]] = {
    "crashes": (CRASH, "exit code 1, having said 'RuntimeError: no such mechanism'"),
    "kills itself": ("import os; os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
    "exits silently": ("import sys; sys.exit(3)", "it ended with exit code 3."),
}
"""How a program ends -> (the program, what is said of it)."""
