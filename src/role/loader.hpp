#pragma once
/// A loader: reads the training rows, and answers workers that ask for some of them.
///
/// Under `central` and `peer` it sends rows as they lie, and whoever gets them encodes them. Under `staged` it encodes
/// them too: one thread reads, another transforms, with a bounded queue between them, and the worker trains.

#include "role/link.hpp"

namespace dtrain::role {

/// Joins, serves until the coordinator says good-bye, and leaves. Throws Error; the coordinator has been told by then.
void run_loader(const JoinRequest& request);

}  // namespace dtrain::role
