#pragma once
/// What is simulated, and what came of it.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "job/distribution.hpp"
#include "job/job.hpp"
#include "sync/policy.hpp"

namespace dtrain::sim {

using sync::Clock;
using sync::Rank;

/// A worker that is gone from `from` on, for good or until `until`; both in seconds of virtual time.
struct Absence {
  Rank rank = 0;
  double from = 0;
  std::optional<double> until;
};

/// Every node has one link, `bandwidth` each way. A message of S bytes keeps the sender's way out busy for
/// S / bandwidth, and the receiver's way in as long from a latency later on, or from when that is free: so a message
/// that meets no other takes latency + S / bandwidth. Messages on one link keep their order.
struct Setting {
  job::Sync sync;  ///< resolved
  int workers = 1;
  int servers = 1;
  Clock steps = 1000;  ///< of every worker
  Clock single_until = 0;
  std::uint64_t seed = 1;
  job::Distribution compute;        ///< of a step, in seconds
  double latency = 0;               ///< seconds
  double bandwidth = 0;             ///< bytes a second; 0: without end
  std::vector<double> slice_bytes;  ///< per server: what an exchange carries in either direction, and first weights
  /// Where a codec packs: how much of that a push has, and an answer to one.
  double push_share = 1, pull_share = 1;
  std::vector<Absence> absences;
};

/// Worker seconds count from a worker's first weights until it has done its steps, absences left out.
struct Outcome {
  double seconds = 0;  ///< until everybody had done their steps
  /// Reciprocal of the workers' mean speed, in steps of their clocks: each weighs by the time that it was there while
  /// nobody had finished. A step in which a worker was lost is left out, as is the time until it came again.
  double time_per_step = 0;
  double worker_seconds = 0;
  double computing_seconds = 0;    ///< of steps that counted
  double wasted_seconds = 0;       ///< of steps given up or late
  std::uint64_t worker_steps = 0;  ///< computed to their end
  std::uint64_t abandoned = 0;     ///< steps given up
  std::uint64_t late = 0;          ///< pushes that came when their step was over
  std::uint64_t torn = 0;          ///< pushes of lost workers that not all servers had
  std::uint64_t updates = 0;       ///< of one server
  std::uint64_t messages = 0;
  double bytes_pushed = 0, bytes_pulled = 0;
  double bytes_first = 0;                ///< of bytes_pulled: weights to begin with, at the start or on joining
  std::vector<std::uint64_t> staleness;  ///< per staleness: pushes applied with it, over all servers
  std::vector<sync::Change> changes;

  double utilisation() const { return worker_seconds > 0 ? computing_seconds / worker_seconds : 0; }
  double wasted() const { return worker_seconds > 0 ? wasted_seconds / worker_seconds : 0; }
  double waiting() const { return worker_seconds > 0 ? std::max(0.0, 1 - utilisation() - wasted()) : 0; }
  double mean_staleness() const;
  std::uint64_t max_staleness() const;
  /// Both directions, first weights left out, a step that a worker computed.
  double bytes_per_step() const;
};

}  // namespace dtrain::sim
