rule spectrum:
    """Eigenvalues and eigenvectors of one kernel of a run, with their residuals."""
    input:
        kernel=PLAN.spectrum_kernel,
    output:
        manifest="<results>/spectra/{experiment}/{run}/{spectrum}.json",
    log:
        "<logs>/spectrum/{experiment}/{run}/{spectrum}.log",
    benchmark:
        "<benchmarks>/spectrum/{experiment}/{run}/{spectrum}.jsonl"
    threads: 1
    resources:
        device=PLAN.device,
        mem_mb=PLAN.resources.spectrum_memory,
        runtime=lambda wc, attempt: 60 * attempt,
    params:
        spec=PLAN.spectrum_spec,
        code=PLAN.code("spectrum.py"),
    script:
        "../workflow_scripts/spectrum.py"
