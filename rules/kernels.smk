# A kernel of up to `band` rows is one job. A larger one is computed by several side by side, into one store: `kernel_store` prepares
# it, each `kernel_band` computes a share of its tiles, and `kernel` checks the whole. Their records are no results.


rule kernel:
    """One kernel of a run, of every member at every checkpoint that the configuration names."""
    input:
        run=PLAN.run_manifest,
        dataset=PLAN.dataset,
        bands=PLAN.kernel_bands,
    output:
        manifest="<results>/kernels/{experiment}/{run}/{kernel}.json",
    log:
        "<logs>/kernel/{experiment}/{run}/{kernel}.log",
    benchmark:
        "<benchmarks>/kernel/{experiment}/{run}/{kernel}.jsonl"
    threads: 1
    resources:
        device=PLAN.device,
        mem_mb=PLAN.resources.kernel_memory,
        runtime=PLAN.resources.kernel_runtime,
    params:
        spec=PLAN.kernel_spec,
        code=PLAN.kernel_code,
    script:
        "../workflow_scripts/kernel.py"


rule kernel_store:
    """The store of a kernel that several jobs compute, with nothing in it yet."""
    input:
        run=PLAN.run_manifest,
        dataset=PLAN.dataset,
    output:
        record=temp("<results>/kernels/{experiment}/{run}/{kernel}.bands/store.json"),
    log:
        "<logs>/kernel_store/{experiment}/{run}/{kernel}.log",
    benchmark:
        "<benchmarks>/kernel_store/{experiment}/{run}/{kernel}.jsonl"
    threads: 1
    resources:
        mem_mb=lambda wc, attempt: 4000 * attempt,
        runtime=lambda wc, attempt: 30 * attempt,
    params:
        spec=PLAN.kernel_spec,
        code=PLAN.kernel_code,
    script:
        "../workflow_scripts/kernel_store.py"


rule kernel_band:
    """One band of a kernel: some of its rows of tiles, of every member at every checkpoint."""
    input:
        run=PLAN.run_manifest,
        dataset=PLAN.dataset,
        store=PLAN.kernel_store,
    output:
        record=temp(
            "<results>/kernels/{experiment}/{run}/{kernel}.bands/band-{band}.json"
        ),
    log:
        "<logs>/kernel_band/{experiment}/{run}/{kernel}/{band}.log",
    benchmark:
        "<benchmarks>/kernel_band/{experiment}/{run}/{kernel}/{band}.jsonl"
    threads: 1
    resources:
        device=PLAN.device,
        mem_mb=PLAN.resources.kernel_memory,
        runtime=PLAN.resources.kernel_runtime,
    params:
        spec=PLAN.band_spec,
        code=PLAN.kernel_code,
    script:
        "../workflow_scripts/kernel_band.py"
