/// Where the network is split: with the workers that have the other parts of it.

#include "role/role.hpp"
#include "role/worker_role.hpp"

namespace dtrain::role {

/// For something of this step: it is given up only if its leader does not begin it.
bool Worker::await_replica() {
  const Lap lap(wait_seconds_);
  poll(100, Phase::exchanging);
  drain();
  return !stopping_;
}

void Worker::drain_doors() {
  doors_->serve();
  const auto tell = [this](const std::string& why) { link_.tell_refusal(why); };
  for (wire::Socket& door : *doors_)
    while (auto message = door.receive(link_.self().nonce, tell)) {
      if (replica_->take(*message)) continue;
      ++tally_.refused;
      link_.tell_refusal("a worker sent what is not of a replica");
    }
  look_for_halt();
}

/// Between steps the leader may end the run for the replica, and has done so for the others.
void Worker::look_for_halt() {
  if (!replica_) return;
  if (stop_wanted_ && !entered_) replica_->halt(clock_);
  stopping_ = stopping_ || replica_->halted(clock_);
}

/// From here on the step is done by all of the replica. The leader waits first for all that the step begins with, so
/// that it need not be given up later. `passes`: the others hear of the step by what passes between them before
/// anything comes of it; otherwise the leader tells them.
bool Worker::enter_step(bool passes) {
  if (!replica_) return true;
  if (replica_->leads() && !await_layers(0, static_cast<int>(plan_.layout.layers.size()) - 1)) return false;
  entered_ = true;
  replica_->begin(clock_, false);
  return passes || replica_->agree();
}

/// Tells the coordinator of a step, if that is ours to do.
void Worker::record(const StepRecord& record) {
  if (!replica_ || replica_->reports()) link_.record(record);
}

}  // namespace dtrain::role
