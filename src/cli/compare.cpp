#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "report/summary.hpp"

namespace dtrain::cli {

int compare(const Options& options) {
  const Json comparison = report::compare(report::read_summary(options.first), report::read_summary(options.second));
  if (options.json) {
    print_json(comparison);
  } else {
    print(report::render_comparison(comparison));
  }
  return 0;
}

}  // namespace dtrain::cli
