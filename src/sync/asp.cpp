/// Asynchronous (Dean et al. 2012, Downpour).
///
/// gate: always open, but a rank reads its own: its next weights contain its push.  fold: each push by itself, at once.
/// update: one optimizer step on that push's gradient.

#include "sync/one_by_one.hpp"
#include "sync/policies.hpp"

namespace dtrain::sync {

std::unique_ptr<Policy> make_asp(const Setup& setup) { return std::make_unique<OneByOne>(setup, OneByOne::Terms{}); }

}  // namespace dtrain::sync
