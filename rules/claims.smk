rule claims:
    """The verdict on every claim of one paper, with its interval over seeds."""
    input:
        table="<results>/metrics/{paper}.csv",
        reference=PLAN.reference,
    output:
        claims="<results>/claims/{paper}.json",
    log:
        "<logs>/claims/{paper}.log",
    benchmark:
        "<benchmarks>/claims/{paper}.jsonl"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        spec=PLAN.claims_spec,
        code=PLAN.code("claims.py"),
    script:
        "../workflow_scripts/claims.py"


rule claims_table:
    """All verdicts in one table."""
    input:
        claims=PLAN.stage("claims"),
    output:
        table=report(
            "<results>/claims.csv", category="claims", caption="../report/claims.rst"
        ),
    log:
        "<logs>/claims_table.log",
    benchmark:
        "<benchmarks>/claims_table.jsonl"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        spec="{}",
        code=PLAN.code("claims_table.py"),
    script:
        "../workflow_scripts/claims_table.py"
