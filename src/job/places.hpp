#pragma once
/// Places for workers: those that are taken when a run begins, and empty ones that others may take while it goes on.

#include "job/job.hpp"

namespace dtrain::job {

/// For those who share the rows, empty places included.
std::int64_t places(const Topology& topology);

/// Whether any is empty when the run begins.
bool grows(const Topology& topology);

}  // namespace dtrain::job
