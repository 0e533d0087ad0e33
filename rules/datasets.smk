rule dataset:
    """Every draw of one dataset: train, test and probe points, with their targets."""
    output:
        manifest="<results>/datasets/{dataset}.json",
    log:
        "<logs>/dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/dataset/{dataset}.jsonl"
    threads: 1
    resources:
        mem_mb=lambda wc, attempt: 2000 * attempt,
        runtime=lambda wc, attempt: 30 * attempt,
    params:
        spec=PLAN.dataset_spec,
        code=PLAN.dataset_code,
    script:
        "../workflow_scripts/dataset.py"
