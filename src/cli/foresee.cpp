#include "cli/foresee.hpp"

#include "launch/children.hpp"

namespace dtrain::cli {

plan::Plan foresee(const job::Job& job) {
  const data::Survey survey = data::survey(job);
  const plan::Host here{launch::host_name(), launch::cores(), launch::memory_bytes()};
  return plan::make_plan(job, here, survey.facts, survey.encoding.width);
}

}  // namespace dtrain::cli
