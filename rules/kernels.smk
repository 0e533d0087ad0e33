rule kernel:
    """One kernel of a run, of every member at every checkpoint that the configuration names."""
    input:
        run=PLAN.run_manifest,
        dataset=PLAN.dataset,
    output:
        manifest="<results>/kernels/{experiment}/{run}/{kernel}.json",
    log:
        "<logs>/kernel/{experiment}/{run}/{kernel}.log",
    benchmark:
        "<benchmarks>/kernel/{experiment}/{run}/{kernel}.jsonl"
    threads: 1
    resources:
        device=PLAN.device,
        mem_mb=lambda wc, attempt: 4000 * attempt,
        runtime=lambda wc, attempt: 120 * attempt,
    params:
        spec=PLAN.kernel_spec,
        code=PLAN.kernel_code,
    script:
        "../workflow_scripts/kernel.py"
