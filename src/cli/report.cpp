#include "base/file.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "report/page.hpp"

namespace dtrain::cli {

int report(const Options& options) {
  const fs::path run = options.run;
  std::error_code ignored;
  if (!fs::is_regular_file(run / "resolved.yaml", ignored))
    fail(Kind::usage, "{} is not the folder of a run: it has no resolved.yaml", options.run);
  const fs::path page = run / "report.html";
  replace_file(page, report::render_page(run));
  if (options.json) {
    print_json(Json{{"report", page.string()}});
  } else {
    print(page.string() + "\n");
  }
  return 0;
}

}  // namespace dtrain::cli
