#pragma once
/// A policy in one word, as --compare takes it and summaries show it: `bsp`, `ssp:3`, `local:10`.

#include <string>
#include <variant>

#include "job/job.hpp"

namespace dtrain::job {

/// The policy that `text` names, or what is wrong with it, to stand after "must be ": "bsp, asp, ...; got 'foo'".
/// What the text leaves open (all numbers may be left out, and alpha or block_momentum have no place in it) is taken
/// from `base`; a compensation only where the policy applies push by push. The inverse of sync::spec(). Pure.
std::variant<Sync, std::string> parse_policy(const std::string& text, const Sync& base);

}  // namespace dtrain::job
