rule download:
    """The files that a dataset is made from: found on this machine or downloaded, and in either case verified."""
    input:
        own=PLAN.datasets.own_files,
    output:
        record="<results>/downloads/{dataset}.json",
    log:
        "<logs>/download/{dataset}.log",
    benchmark:
        "<benchmarks>/download/{dataset}.jsonl"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=600,
        data=PLAN.datasets.data,
        downloads=PLAN.datasets.downloads,
        offline=PLAN.datasets.offline,
    params:
        spec=PLAN.datasets.download_spec,
        code=PLAN.datasets.download_code,
    script:
        "../workflow_scripts/download.py"


# Where Snakemake itself runs: the compute nodes of a cluster often have no network.
localrules:
    download,


rule dataset:
    """Every draw of one dataset: train, test and probe points, with their targets."""
    input:
        files=PLAN.datasets.record,
    output:
        manifest="<results>/datasets/{dataset}.json",
    log:
        "<logs>/dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/dataset/{dataset}.jsonl"
    threads: 1
    resources:
        mem_mb=lambda wc, attempt: 4000 * attempt,
        runtime=lambda wc, attempt: 60 * attempt,
    params:
        spec=PLAN.datasets.spec,
        code=PLAN.datasets.code,
    script:
        "../workflow_scripts/dataset.py"
