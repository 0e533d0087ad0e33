# lazyrich: how much, how well and in which directions networks learn features, and each published claim checked.
#
# One word a stage, for its rules, its scripts, its library folder and its results:
#
#   results/downloads/{dataset}.json         -> resources/downloads/            rules/datasets.smk
#   results/datasets/{dataset}.json                          + .zarr            rules/datasets.smk
#   results/runs/{experiment}/{run}/run.json                 + checkpoints.zarr rules/training.smk
#   results/kernels/{experiment}/{run}/{kernel}.json         + .zarr            rules/kernels.smk
#   results/spectra/{experiment}/{run}/{spectrum}.json       + .zarr            rules/spectra.smk
#   results/metrics/{experiment}/{run}.json  ->  results/metrics/{paper}.csv    rules/metrics.smk
#   results/figures/{paper}/{experiment}-{figure}.{png,pdf,csv}                 rules/figures.smk
#   results/figures/{paper}/{figure}.{png,pdf,csv}   of a whole paper           rules/figures.smk
#   results/claims/{paper}.json              ->  results/claims.csv             rules/claims.smk
#
# A {run} is one point of an experiment's sweep, named for the axes that differ from the experiment's own values. Its seeds, and
# the sweep points that are trained together with it, are its members. What there is to do comes from config/ through
# lazyrich.plan; a step is rerun exactly if its part of the configuration, its code or its input changed (docs/architecture.md).
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/datasets.smk"
include: "rules/training.smk"
include: "rules/kernels.smk"
include: "rules/spectra.smk"
include: "rules/metrics.smk"
include: "rules/figures.smk"
include: "rules/claims.smk"
include: "rules/collect.smk"


localrules:
    all,


rule all:
    """The whole reproduction: every figure and every verdict."""
    default_target: True
    input:
        PLAN.stage("figures"),
        "<results>/claims.csv",
