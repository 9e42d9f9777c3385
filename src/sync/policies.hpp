#pragma once
/// The makers of the policies, one file each; make_policy() is the only caller.

#include "sync/policy.hpp"

namespace dtrain::sync {

std::unique_ptr<Policy> make_bsp(const std::vector<Clock>& clocks);
std::unique_ptr<Policy> make_asp(const std::vector<Clock>& clocks);

}  // namespace dtrain::sync
