# pyright: reportArgumentType=false
"""The paper: every macro defined and none typed by hand, tables that say what the store holds."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dpsynth.errors import FileError, InvalidValueError
from dpsynth.harness.row import Row
from dpsynth.harness.store import Record, Store
from dpsynth.harness.yardstick import Yardstick
from dpsynth.privacy.accountant import make_accountant
from dpsynth.privacy.budget import Budget
from dpsynth.privacy.ledger import Ledger
from dpsynth.report.paper import write_paper_inputs
from dpsynth.report.paper_numbers import as_macros
from dpsynth.report.paper_tables import GENERATORS

PAPER = Path(__file__).parents[2] / "paper"
TEXT = (PAPER / "main.tex").read_text(encoding="utf-8")
BASE = {"cell": "c", "dataset": "toy", "delta": 1e-9, "relation": "add_remove", "seed": 0}
EPSILONS = (0.5, 1.0, 8.0)


def scores(generator: str, epsilon: float) -> list[Row]:
    """Rows of one release; a generator's error is its place in the list, less with more budget."""
    place = list(GENERATORS).index(generator)
    shared = {**BASE, "generator": generator, "epsilon": epsilon}
    utility = {"kind": "utility", "holdout": 0.01, "independent": 0.3, "lower": 0.1, "upper": 0.2}
    rates = {"attack_rate": 0.25, "baseline_rate": 0.125, "control_rate": 0.375}
    alarm = generator == "mst" and epsilon == 8
    return [
        Row(
            **shared,
            **utility,
            metric="tvd_2way",
            value=0.9 - place / 10 - epsilon / 100,
            higher_is_better=False,
        ),
        Row(**shared, **utility, metric="tstr_auc", value=0.5 + place / 100, higher_is_better=True),
        *(
            Row(
                **shared,
                **rates,
                kind="attack",
                metric=attack,
                value=-0.2,
                p_value=1e-9 if alarm and attack == "linkability" else 1.0,
            )
            for attack in ("singling_out", "linkability")
        ),
    ]


def audit(generator: str, epsilon: float) -> Row:
    return Row(
        **BASE,
        generator=generator,
        epsilon=epsilon,
        kind="audit",
        metric="claim",
        epsilon_claimed=epsilon,
        epsilon_lower=epsilon / 4,
        epsilon_largest_measurable=7.25,
        mu_claimed=None if generator == "dpvae" else epsilon / 5,
        mu_lower=epsilon / 10,
        smallest_detectable_inflation=1.5,
        runs=10_000,
        alpha=0.05,
        violated=False,
    )


def record(kind: str, generator: str, epsilon: float, rows: list[Row]) -> Record:
    settings = {
        "kind": kind,
        "generator": {"label": generator},
        "epsilon": epsilon,
        "delta": 1e-9,
        "seed": 0,
        "fingerprint": {"data": "", "libraries": {"python": "3.11.7"}},
    }
    accountant = make_accountant("zcdp", Budget(epsilon=epsilon, delta=1e-9))
    receipt = Ledger(accountant).receipt(mode="research").to_json()
    return Record(
        cell=f"{kind}-{generator}-{epsilon:g}",
        settings=settings,
        status="done",
        rows=tuple(rows),
        receipt=receipt if kind == "release" else None,
        seconds={"fit": 10.0},
    )


def filled(path: Path, *, without: str | None = None) -> Store:
    """Return a store of all generators but `without`, whose sweep is finished."""
    records = [
        record(kind, g, e, scores(g, e) if kind == "release" else [audit(g, e)])
        for g in GENERATORS
        if g != without
        for e in EPSILONS
        for kind in ("release", "audit")
    ]
    store = Store(path)
    skipped = [(without, "torch not installed; install dpsynth[neural]")] if without else []
    experiment = {"relation": "add_remove", "holdout": 0.2}
    store.write_plan(experiment, [r.cell for r in records], skipped)
    for kept in records:
        store.write(kept)
    return store


def facts() -> Yardstick:
    attacks = [row for row in scores("mst", 8.0) if row.kind == "attack"]
    copied = [replace(row, generator="copy", attack_rate=0.75, p_value=1e-9) for row in attacks]
    copied[1] = replace(copied[1], p_value=0.02)  # an alarm alone, none among the others
    return Yardstick(
        name="toy_set",
        citation="none",
        rows=12_345,
        columns=7,
        train_rows=9_876,
        domain_cells=3 * 10**8,
        distinct=99,
        copied=tuple(copied),
    )


def macros(text: str) -> dict[str, str]:
    return dict(re.findall(r"^\\newcommand\{\\(\w+)\}\{(.*)\}$", text, re.M))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    write_paper_inputs(filled(folder / "store").path, facts(), folder / "out")
    return folder / "out"


def test_every_macro_and_file_of_the_text_is_generated(written: Path) -> None:
    defined = macros((written / "numbers.tex").read_text())
    used = set(re.findall(r"\\(dps\w+)", TEXT))
    assert used
    assert used <= set(defined)
    inputs = re.findall(r"\\input\{(\w+)\}", TEXT)
    assert sorted(inputs) == ["attacks", "audit", "numbers", "results"]
    assert all((written / f"{name}.tex").exists() for name in inputs)
    pictures = re.findall(r"\\includegraphics\[.*?\]\{(\w+)\}", TEXT)
    assert pictures
    assert all((written / f"{name}.pdf").read_bytes()[:4] == b"%PDF" for name in pictures)


def test_every_reference_of_the_text_exists(written: Path) -> None:
    tables = "".join(p.read_text() for p in written.glob("*.tex"))
    labels = set(re.findall(r"\\label\{([\w:]+)\}", TEXT + tables))
    assert set(re.findall(r"\\ref\{([\w:]+)\}", TEXT)) <= labels
    entries = re.findall(r"^@\w+\{(\w+),", (PAPER / "refs.bib").read_text(), re.M)
    cited = {k for keys in re.findall(r"\\citep?\{([\w,]+)\}", TEXT) for k in keys.split(",")}
    assert cited == set(entries)
    assert len(entries) == len(set(entries))


def typed_numbers(text: str) -> list[str]:
    """Return the numbers in the text itself: not those in names, lengths and references."""
    body = text.partition(r"\begin{document}")[2]
    body = re.sub(r"\\(?:cite[pt]?|ref|label|input|includegraphics)(?:\[.*?\])?\{.*?\}", "", body)
    body = re.sub(r"\\(?:setlength|setcounter).*|\^2", "", body)
    return re.findall(r"\d[\d.,{}]*", body)


def test_no_number_is_typed_by_hand() -> None:
    assert typed_numbers(TEXT) == []
    assert typed_numbers(r"0.5\begin{document} an error of 0.036, 3 seeds") == ["0.036,", "3"]


def test_numbers_say_what_the_store_holds(written: Path) -> None:
    found = macros((written / "numbers.tex").read_text())
    expected = {
        "dpsDataset": r"toy\_set",
        "dpsRows": "12{,}345",
        "dpsDomain": "$10^{8}$",
        "dpsEpsilons": "0.5, 1 and 8",
        "dpsDelta": "$10^{-9}$",
        "dpsSeeds": "1",
        "dpsCells": "42",
        "dpsAudits": "21",
        "dpsFailed": "none",
        "dpsReceipts": "21",
        "dpsOverspent": "none",
        "dpsAccountants": "zCDP",
        "dpsMinutes": "7.0",
        "dpsTvdMst": "0.490",
        "dpsTvdBest": "DP-VAE",
        "dpsTvdMostName": "MWEM",
        "dpsTvdLeast": "0.290",
        "dpsAucDpvae": "0.560",
        "dpsFalling": "6",
        "dpsViolated": "none",
        "dpsShareHigh": r"25\%",
        "dpsMuShareLow": r"50\%",
        "dpsAlarms": "1",
        "dpsAlarmList": " (linkability of MST at epsilon 8)",
        "dpsAlarmLevel": "0.0012",
        "dpsCopySinglingOutP": r"$1.0\cdot10^{-9}$",
        "dpsCopySinglingOut": "raises an alarm",
        "dpsCopyLinkability": "raises no alarm",
        "dpsCopyLinkabilityRate": "0.750",
        "dpsCopyLinkabilityRisk": "-0.200",
    }
    assert {name: found[name] for name in expected} == expected


def test_tables_say_what_the_store_holds(written: Path) -> None:
    results = (written / "results.tex").read_text()
    assert r"MST & 0.495 $\pm$ 0.050 & 0.490 $\pm$ 0.050 & 0.420 $\pm$ 0.050 \\" in results
    audits = (written / "audit.tex").read_text()
    assert r"MST & 0.125 & 0.250 & 2.000 \\" in audits
    assert r"DP-VAE & 0.050 / -- & 0.100 / -- & 0.800 / -- \\" in audits
    attacks = (written / "attacks.tex").read_text()
    line = r"$-$0.200 & $-$0.200 & $-$0.200* & 0.250 & 0.125 & 0.375 \\"
    assert f"linkability, MST & {line}" in attacks
    assert f"singling out, MST & {line.replace('*', '')}" in attacks


def test_a_rejected_claim_is_shown(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    rejected = replace(audit("mst", 1.0), violated=True)
    store.write(record("audit", "mst", 1.0, [rejected]))
    write_paper_inputs(store.path, facts(), tmp_path)
    assert macros((tmp_path / "numbers.tex").read_text())["dpsViolated"] == "1"
    assert r"MST & 0.125 & 0.250! & 2.000 \\" in (tmp_path / "audit.tex").read_text()


def test_a_store_that_lacks_something_is_refused_in_one_sentence(tmp_path: Path) -> None:
    store = filled(tmp_path / "store", without="dpvae")
    with pytest.raises(FileError, match=r"an audit of dpvae, at epsilon 1 \(left out: torch not"):
        write_paper_inputs(store.path, facts(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_sweep_that_was_stopped_is_refused(tmp_path: Path) -> None:
    store = filled(tmp_path / "store")
    (store.path / "cells" / "audit-mst-8.json").unlink()
    with pytest.raises(FileError, match="1 of 42 cells have not run"):
        write_paper_inputs(store.path, facts(), tmp_path / "out")


def test_a_macro_has_a_name_that_tex_can_read() -> None:
    assert as_macros({"Rows": "3"}).endswith("\\newcommand{\\dpsRows}{3}\n")
    with pytest.raises(InvalidValueError, match="letters only"):
        as_macros({"Tvd2": "3"})
