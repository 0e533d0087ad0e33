# The plan that every rule asks, and what all rules share. No science here: an edit in this file must not matter to a result.
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "workflow_scripts"))

from lazyrich.configuration import ConfigurationError, load
from lazyrich.plan import Plan

ROOT = Path(workflow.basedir)

try:
    PLAN = Plan(load(ROOT, config), ROOT)
except ConfigurationError as error:
    sys.exit(f"The configuration is not valid:\n{error}")

# Jobs end with the workflow that started them, even if that is killed (lazyrich.guard).
os.environ["LAZYRICH_WORKFLOW_PID"] = str(os.getpid())


pathvars:
    results=PLAN.results,
    logs=f"{PLAN.results}/logs",
    benchmarks=f"{PLAN.results}/benchmarks",


wildcard_constraints:
    dataset="[^/]+",
    experiment="[^/]+",
    run="[^/]+",
    kernel="[^/]+",
    spectrum="[^/]+",
    paper="[^/]+",
    figure="[^/]+",
