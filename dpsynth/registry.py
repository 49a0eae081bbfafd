"""Names of generators, metrics, attacks and data sets, resolved lazily to their classes.

A line here is all that a new one needs; third parties add theirs by an entry point in the group
that the registry names. Looking a name up imports its module, listing the names imports nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from re import fullmatch
from typing import Any, final

from dpsynth.errors import InvalidValueError, UnknownNameError


@final
@dataclass(frozen=True, kw_only=True)
class Registry:
    """A mapping from public names to objects that are imported when first asked for.

    Args:
        kind: the noun used in error messages ("generator").
        group: entry-point group in which other packages register theirs.
        builtin: name -> "module:attribute".
    """

    kind: str
    group: str
    builtin: Mapping[str, str] = field(default_factory=dict)

    def _targets(self) -> dict[str, str]:
        external = {e.name: e.value for e in entry_points(group=self.group)}
        return {**external, **self.builtin}

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._targets()))

    def __contains__(self, name: object) -> bool:
        return name in self.builtin or name in self._targets()

    def target(self, name: str) -> str:
        """Return where `name` lives, "module:attribute", without importing it.

        A name that is itself of that form stands for itself, so that a generator of one's own
        needs no registration. Only saved models may not name such.

        Raises:
            UnknownNameError: no such name; the message lists close matches.
        """
        if fullmatch(r"[\w.]+:\w+", name):
            return name
        if name in self.builtin:
            return self.builtin[name]  # entry points are files to parse, and yield to these
        targets = self._targets()
        if name not in targets:
            raise UnknownNameError(self.kind, name, targets)
        return targets[name]

    def get(self, name: str) -> Any:
        """Return the object called `name`: a registered name, or "module:attribute".

        Raises:
            UnknownNameError: no such name; the message lists close matches.
            InvalidValueError: a module of one's own that cannot be imported.
        """
        target = self.target(name)
        module, _, attribute = target.partition(":")
        try:
            found = import_module(module)
        except Exception as error:
            if name != target:
                raise
            rule = (
                "in a module that can be imported, as from a folder on PYTHONPATH "
                f"({type(error).__name__}: {error})"
            )
            raise InvalidValueError(self.kind, name, rule) from error
        if not hasattr(found, attribute):
            public = [known for known in vars(found) if not known.startswith("_")]
            raise UnknownNameError(f"{self.kind} in {module}", attribute, public)
        return getattr(found, attribute)


GENERATORS = Registry(
    kind="generator",
    group="dpsynth.generators",
    builtin={
        "uniform": "dpsynth.generators.baselines.uniform:Uniform",
        "independent": "dpsynth.generators.baselines.independent:Independent",
        "mwem": "dpsynth.generators.marginal.mwem:Mwem",
        "privbayes": "dpsynth.generators.marginal.privbayes:PrivBayes",
        "mst": "dpsynth.generators.marginal.mst:Mst",
        "aim": "dpsynth.generators.marginal.aim:Aim",
        "aim_gdp": "dpsynth.generators.marginal.aim_gdp:AimGdp",
        "tree": "dpsynth.generators.marginal.tree:Tree",
        "pairs_first": "dpsynth.generators.marginal.pairs_first:PairsFirst",
        "residual": "dpsynth.generators.marginal.residual:Residual",
        "two_stage": "dpsynth.generators.marginal.two_stage:TwoStage",
        "public_prior": "dpsynth.generators.marginal.public_prior:PublicPrior",
        "dpvae": "dpsynth.generators.neural.vae:DpVae",
        "dpdiffusion": "dpsynth.generators.neural.diffusion:DpDiffusion",
        "dpmerf": "dpsynth.generators.neural.merf:DpMerf",
        "margnet": "dpsynth.generators.neural.margnet:MargNet",
        "dpar": "dpsynth.generators.neural.autoregressive:DpAutoregressive",
        "anchored": "dpsynth.generators.neural.anchored:Anchored",
        "dpctgan": "dpsynth.generators.neural.dpctgan:DpCtgan",
        "dpgan": "dpsynth.generators.neural.dpgan:DpGan",
        "pate_gan": "dpsynth.generators.neural.pate_gan:PateGan",
    },
)

METRICS = Registry(
    kind="metric",
    group="dpsynth.metrics",
    builtin={
        "tvd_1way": "dpsynth.evaluation.marginals:OneWayTvd",
        "tvd_2way": "dpsynth.evaluation.marginals:TwoWayTvd",
        "tvd_3way": "dpsynth.evaluation.marginals:ThreeWayTvd",
        "tvd_1way_max": "dpsynth.evaluation.marginals:OneWayTvdMax",
        "tvd_2way_max": "dpsynth.evaluation.marginals:TwoWayTvdMax",
        "tvd_3way_max": "dpsynth.evaluation.marginals:ThreeWayTvdMax",
        "workload_error": "dpsynth.evaluation.marginals:WorkloadError",
        "k_marginal": "dpsynth.evaluation.marginals:KMarginal",
        "hoc": "dpsynth.evaluation.counting_queries:HigherOrderConjunctions",
        "query_error": "dpsynth.evaluation.counting_queries:QueryError",
        "tail_recall": "dpsynth.evaluation.tail:TailRecall",
        "wasserstein_1way": "dpsynth.evaluation.transport:OneWayWasserstein",
        "wasserstein_2way": "dpsynth.evaluation.transport:TwoWayWasserstein",
        "mmd": "dpsynth.evaluation.mean_discrepancy:MeanDiscrepancy",
        "c2st_auc": "dpsynth.evaluation.discrimination:ClassifierTwoSample",
        "pmse_ratio": "dpsynth.evaluation.discrimination:PropensityRatio",
        "correlation_difference": "dpsynth.evaluation.correlation:CorrelationDifference",
        "tstr_auc": "dpsynth.evaluation.tstr:TstrAuc",
        "tstr_logistic_auc": "dpsynth.evaluation.tstr_learners:TstrLogisticAuc",
        "tstr_forest_auc": "dpsynth.evaluation.tstr_learners:TstrForestAuc",
        "tstr_macro_f1": "dpsynth.evaluation.tstr_values:TstrMacroF1",
        "tstr_recall": "dpsynth.evaluation.tstr_recall:TstrRecall",
        "tstr_r2": "dpsynth.evaluation.tstr_values:TstrR2",
        "coverage": "dpsynth.evaluation.diversity:Coverage",
        "alpha_precision": "dpsynth.evaluation.diversity:AlphaPrecision",
        "beta_recall": "dpsynth.evaluation.diversity:BetaRecall",
    },
)

ATTACKS = Registry(
    kind="attack",
    group="dpsynth.attacks",
    builtin={
        "membership": "dpsynth.attacks.membership:ShadowMembership",
        "singling_out": "dpsynth.attacks.singling_out:SinglingOut",
        "linkability": "dpsynth.attacks.linkability:Linkability",
        "canary_exposure": "dpsynth.attacks.exposure:CanaryExposure",
        "exact_copies": "dpsynth.attacks.exact_copies:ExactCopies",
        "attribute_inference": "dpsynth.attacks.attribute_inference:AttributeInference",
        "linear_reconstruction": "dpsynth.attacks.linear_reconstruction:LinearReconstruction",
        "ranked_reconstruction": "dpsynth.attacks.ranked_reconstruction:RankedReconstruction",
        "domias": "dpsynth.attacks.domias:Domias",
        "gen_lra": "dpsynth.attacks.gen_lra:GenLra",
        "mama_mia": "dpsynth.attacks.mama_mia:MamaMia",
        "lira": "dpsynth.attacks.lira:Lira",
        "rmia": "dpsynth.attacks.rmia:Rmia",
    },
)

DATASETS = Registry(
    kind="data set",
    group="dpsynth.datasets",
    builtin={
        "randhie": "dpsynth.data.datasets.randhie:randhie",
        "breast_cancer": "dpsynth.data.datasets.sklearn_sets:breast_cancer",
        "digits": "dpsynth.data.datasets.sklearn_sets:digits",
        "mbi_adult": "dpsynth.data.datasets.adult:mbi_adult",
        "uci_adult": "dpsynth.data.datasets.adult:uci_adult",
        "nltcs": "dpsynth.data.datasets.coded_files:nltcs",
        "titanic": "dpsynth.data.datasets.coded_files:titanic",
        "br2000": "dpsynth.data.datasets.coded_files:br2000",
        "nist_ma2018": "dpsynth.data.datasets.nist:nist_ma2018",
        "nist_ma2019": "dpsynth.data.datasets.nist:nist_ma2019",
        "online_shoppers": "dpsynth.data.datasets.online_shoppers:online_shoppers",
        "uk_census": "dpsynth.data.datasets.coded_files:uk_census",
    },
)
