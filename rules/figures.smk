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


rule dataset_gallery:
    """One figure of the datasets: images with their classes, and target functions."""
    input:
        datasets=PLAN.datasets.gallery_samples,
    output:
        png=report("<results>/figures/datasets.png", caption="../report/datasets.rst"),
        pdf="<results>/figures/datasets.pdf",
        csv="<results>/figures/datasets.csv",
    log:
        "<logs>/dataset_gallery.log",
    benchmark:
        "<benchmarks>/dataset_gallery.jsonl"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        spec=PLAN.datasets.gallery_spec,
        code=PLAN.datasets.gallery_code,
    script:
        "../workflow_scripts/dataset_gallery.py"
