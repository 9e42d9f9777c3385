"""tally.py STAGE BUILD...: adds up the test logs that Meson left in the build folders.

STAGE is what broke off before its tests, or empty; it counts as one failure. Prints each failed test, and as its last
line `N passed, N failed`; ends with 1 if any failed.
"""

import glob
import json
import sys

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP", "IGNORED"}


def results(build):
    for log in glob.glob(f"{build}/meson-logs/testlog*.json"):
        with open(log, encoding="utf-8") as lines:
            for line in lines:
                test = json.loads(line)
                yield f"{build}: {test['name']}", test["result"]


def main(stage, *builds):
    passed, skipped = 0, 0
    failed = [f"{stage}: broke off"] if stage else []
    for build in builds:
        before = passed + skipped + len(failed)
        for name, result in results(build):
            if result in PASSED:
                passed += 1
            elif result in SKIPPED:
                skipped += 1
            else:
                failed.append(f"{name}: {result}")
        if passed + skipped + len(failed) == before:
            failed.append(f"{build}: no test was run")
    for line in failed:
        print(f"FAILED {line}")
    print(f"{passed} passed, {len(failed)} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
