rule metrics:
    """Every metric of an experiment on every member of one run, as tidy rows."""
    input:
        run=PLAN.run_manifest,
        dataset=PLAN.dataset,
        kernels=PLAN.metrics_kernels,
        spectra=PLAN.metrics_spectra,
    output:
        table="<results>/metrics/{experiment}/{run}.json",
    log:
        "<logs>/metrics/{experiment}/{run}.log",
    benchmark:
        "<benchmarks>/metrics/{experiment}/{run}.jsonl"
    threads: 1
    resources:
        device=PLAN.device,
        mem_mb=PLAN.resources.metrics_memory,
        runtime=lambda wc, attempt: 120 * attempt,
    params:
        spec=PLAN.metrics_spec,
        code=PLAN.metrics_code,
    script:
        "../workflow_scripts/metrics.py"


rule metrics_table:
    """One tidy table a paper: a row per run, member, layer, step and metric."""
    input:
        runs=PLAN.paper_metrics,
    output:
        table="<results>/metrics/{paper}.csv",
    log:
        "<logs>/metrics_table/{paper}.log",
    benchmark:
        "<benchmarks>/metrics_table/{paper}.jsonl"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        spec="{}",
        code=PLAN.code("metrics_table.py"),
    script:
        "../workflow_scripts/metrics_table.py"
