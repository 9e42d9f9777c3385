#include "plan/plan.hpp"

#include "base/log.hpp"
#include "cli/foresee.hpp"
#include "cli/output.hpp"
#include "cli/verbs.hpp"
#include "job/read.hpp"
#include "launch/children.hpp"

namespace dtrain::cli {

int plan(const Options& options) {
  std::string warnings;
  const job::Job job = job::load_job(options.job, options.set, &warnings, launch::host_name());
  warn(warnings);
  const plan::Plan foreseen = foresee(job);
  if (options.json) {
    print_json(plan::to_json(foreseen));
  } else {
    print(plan::render(foreseen));
  }
  return 0;
}

}  // namespace dtrain::cli
