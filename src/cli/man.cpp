#include "cli/man.hpp"

#include "cli/output.hpp"
#include "cli/verbs.hpp"

namespace dtrain::cli {

int man(const Options& options) {
  print_text(options, "page", options.page == "dtrain.1" ? program_page() : job_page());
  return 0;
}

}  // namespace dtrain::cli
