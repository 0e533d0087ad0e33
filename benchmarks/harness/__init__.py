"""The benchmark harness: cases, worker processes, interleaved measurement, report."""
