#pragma once
/// A loader: a process between the files and the workers.
///
/// Under `central` and `peer` it reads rows and sends them as they lie; whoever gets them encodes them. Under `staged`
/// half of the loaders read, and each of the others has one of those read for it and encodes what comes, so that
/// reading, transforming and training are three processes. Between them are bounded queues: a worker asks for so many
/// batches ahead (data.ahead), and a transforming loader for so many.

#include "role/link.hpp"

namespace dtrain::role {

/// Joins, serves until the coordinator says good-bye, and leaves. Throws Error; the coordinator has been told by then.
void run_loader(const JoinRequest& request);

}  // namespace dtrain::role
