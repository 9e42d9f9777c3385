#include "sync/policy.hpp"

#include <stdexcept>

#include "sync/policies.hpp"

namespace dtrain::sync {

std::unique_ptr<Policy> make_policy(const job::Sync& sync, const std::vector<Clock>& clocks) {
  switch (sync.policy) {
    case job::PolicyName::bsp: return make_bsp(clocks);
    case job::PolicyName::asp: return make_asp(clocks);
  }
  throw std::logic_error("a policy without a maker");
}

}  // namespace dtrain::sync
