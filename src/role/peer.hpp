#pragma once
/// A worker among equals, without servers: from joining to leaving.

#include "role/link.hpp"

namespace dtrain::role {

/// After it was welcomed into a run whose plan, which this is, has peers.
void be_peer(Link& link, const Welcome& welcome, plan::Plan plan);

}  // namespace dtrain::role
