rule train:
    """All members of one run, trained with checkpoints by step; several at once where that is faster."""
    input:
        dataset=PLAN.dataset,
    output:
        manifest="<results>/runs/{experiment}/{run}/run.json",
    log:
        "<logs>/train/{experiment}/{run}.log",
    benchmark:
        "<benchmarks>/train/{experiment}/{run}.jsonl"
    # Trainings first: they are the longest jobs, and one that starts last would hold up the end.
    priority: 10
    # One thread: on networks of these sizes two jobs side by side beat one job on two threads, and sums keep their order.
    threads: 1
    resources:
        device=PLAN.device,
        mem_mb=lambda wc, attempt: 4000 * attempt,
        runtime=lambda wc, attempt: 240 * attempt,
    params:
        spec=PLAN.training_spec,
        code=PLAN.training_code,
    script:
        "../workflow_scripts/train.py"
