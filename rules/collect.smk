# Named targets beside `all` (in the Snakefile): each stage, each paper. For example `snakemake training` or `snakemake goring2025`.


for _stage in ("downloads", "datasets", "training", "kernels", "spectra"):

    rule:
        name:
            _stage
        input:
            PLAN.stage(_stage),


rule measurements:
    input:
        PLAN.stage("metrics"),


rule all_figures:
    input:
        PLAN.stage("figures"),


for _paper in PLAN.papers:

    rule:
        name:
            _paper
        input:
            PLAN.stage("figures", [_paper]),
            PLAN.stage("claims", [_paper]),


localrules:
    measurements,
    all_figures,
    downloads,
    datasets,
    training,
    kernels,
    spectra,
