rule figure:
    """One figure as PNG and PDF, with the numbers that it shows as CSV."""
    input:
        runs=PLAN.figure_metrics,
    output:
        png=report(
            "<results>/figures/{paper}/{figure}.png",
            category="{paper}",
            caption="../report/figure.rst",
        ),
        pdf="<results>/figures/{paper}/{figure}.pdf",
        csv="<results>/figures/{paper}/{figure}.csv",
    log:
        "<logs>/figure/{paper}/{figure}.log",
    benchmark:
        "<benchmarks>/figure/{paper}/{figure}.jsonl"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        spec=PLAN.figure_spec,
        code=PLAN.figure_code,
    script:
        "../workflow_scripts/figure.py"
