"""Print what the configuration takes before it is run: jobs of each stage; memory, disk and hours of each kernel."""

import argparse
from pathlib import Path

from lazyrich.configuration import load
from lazyrich.configuration_layers import overlay
from lazyrich.kernels.cost import ntk_cost
from lazyrich.kernels.plan_report import matrix_product_rate, plan_report
from lazyrich.kernels.planning import plan_kernels
from lazyrich.plan import Plan

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", help="smoke, reduced or full; default: the one of config/config.yaml")
    parser.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="YAML files laid over config/")
    parser.add_argument("--core", type=float, help="GF/s of matrix products on a core; default: measured here")
    parser.add_argument("--gpu", type=float, default=50, help="TF/s of a GPU; default: 50, an H100 in float32")
    options = parser.parse_args()
    overrides = overlay(map(Path, options.configfile)) | ({"scale": options.scale} if options.scale else {})
    root = Path(__file__).parent.parent
    core = 1e9 * options.core if options.core else matrix_product_rate()
    plan = Plan(load(root, overrides), root)
    try:
        print(plan_report(plan, plan_kernels(plan, ntk_cost), core, 1e12 * options.gpu))
    except ValueError as error:
        parser.error(str(error))
