/// Rules on training and on the processes that do it.

#include "job/catalogue.hpp"
#include "job/check.hpp"
#include "job/distribution.hpp"
#include "job/places.hpp"
#include "job/resolve.hpp"

namespace dtrain::job {
namespace {

void check_optimizer(Rules& rules) {
  using T = OptimizerType;
  const T type = rules.job.train.optimizer.type;
  if (!rules.sound({"train.optimizer.type"})) return;
  const bool adam = type == T::adam || type == T::adamw;
  if (type != T::momentum && type != T::nesterov)
    rules.idle("train.optimizer.momentum", "only momentum and nesterov have a momentum; set train.optimizer.type");
  if (!adam) rules.idle("train.optimizer.beta1", "only adam and adamw have it");
  if (!adam) rules.idle("train.optimizer.beta2", "only adam and adamw have it");
  if (type != T::rmsprop) rules.idle("train.optimizer.decay_rate", "only rmsprop has it");
  if (!adam && type != T::adagrad && type != T::rmsprop)
    rules.idle("train.optimizer.epsilon", "only adagrad, rmsprop, adam and adamw have it");
}

void check_schedule(Rules& rules) {
  const Schedule& schedule = rules.job.train.schedule;
  if (!rules.sound({"train.schedule.type"})) return;
  const bool decays = schedule.type == ScheduleType::step || schedule.type == ScheduleType::exponential;
  if (decays && schedule.every.value == 0)
    rules.error({"train.schedule.every"}, "train.schedule.every must be above 0 for a step or exponential schedule");
  if (!decays) rules.idle("train.schedule.every", "only the step and exponential schedules have it");
  if (!decays) rules.idle("train.schedule.factor", "only the step and exponential schedules have it");
  if (schedule.type != ScheduleType::cosine) rules.idle("train.schedule.floor", "only the cosine schedule has it");
}

void check_batch(Rules& rules) {
  const Train& train = rules.job.train;
  const std::int64_t workers = rules.job.topology.data_ranks();
  if (!rules.sound({"train.batch", "topology.workers", "topology.split.pipeline", "topology.split.tensor"})) return;
  if (train.batch < workers) {
    rules.error({"train.batch", "topology.workers"},
                "train.batch is {}, so some of the {} would never have a row; raise it to {} or more", train.batch,
                sharers(rules), workers);
  } else if (train.micro_batches.value_or(1) > train.batch / workers) {
    rules.error({"train.micro_batches"},
                "train.micro_batches is {}, but a worker's part of a batch is {} rows ({} over {})",
                *train.micro_batches, train.batch / workers, train.batch, sharers(rules));
  }
}

void check_servers(Rules& rules) {
  const Topology& topology = rules.job.topology;
  if (!rules.sound({"topology.workers", "topology.external", "topology.servers"})) return;
  if (topology.external > topology.workers)
    rules.error({"topology.external"},
                "topology.external is {}, but there are {} workers in all, external ones "
                "included",
                topology.external, topology.workers);
  if (!has_servers(topology)) return;
  const std::int64_t cells = topology.split.cells(), servers = topology.servers.value_or(cells);
  if (rules.sound({"topology.external_servers"}) && topology.external_servers > servers)
    rules.error({"topology.external_servers"},
                "topology.external_servers is {}, but there are {} servers in all, external ones included",
                topology.external_servers, servers);
  const bool none = topology.servers == 0;
  if (!topology.hosts.empty()) return;  // check_hosts() tells of those that have no server
  if (none && topology.data_ranks() > 1) {
    rules.error({"topology.servers"}, "{} need {}: set topology.servers to {} or more, or auto", sharers(rules),
                cells > 1 ? "servers for each part of the network" : "a server", cells);
  } else if (none && topology.external > 0 && cells == 1) {
    rules.error({"topology.servers"}, "an external worker needs a server: set topology.servers to 1 or more, or auto");
  }
}

bool goes_without_servers(PolicyName policy) {
  using P = PolicyName;
  return policy == P::bsp || policy == P::subset || policy == P::local || policy == P::bmuf || policy == P::sign_vote;
}

/// Policy and kind of topology go together.
void check_kind(Rules& rules) {
  const PolicyName policy = rules.job.sync.policy;
  const TopologyKind kind = rules.job.topology.kind;
  const std::string both[] = {policy_name(policy), topology_name(kind)};
  if (!rules.sound({"topology.kind", "sync.policy"})) return;
  if (policy == PolicyName::gossip && kind != TopologyKind::gossip)
    rules.error({"sync.policy", "topology.kind"},
                "gossip is between workers, and topology.kind is {}: set topology.kind to gossip", both[1]);
  else if (kind == TopologyKind::gossip && policy != PolicyName::gossip)
    rules.error({"topology.kind", "sync.policy"},
                "topology.kind: gossip has no other policy than gossip, and sync.policy is {}: set sync.policy to "
                "gossip, or topology.kind to parameter_server",
                both[0]);
  else if (kind != TopologyKind::gossip && !has_servers(rules.job.topology) && !goes_without_servers(policy))
    rules.error({"sync.policy", "topology.kind"},
                "{} needs servers, and topology.kind is {}, which has none: set topology.kind to parameter_server, or "
                "sync.policy to bsp, subset, local, bmuf or sign_vote",
                both[0], both[1]);
}

/// Where workers exchange among themselves.
void check_peers(Rules& rules) {
  const Topology& topology = rules.job.topology;
  if (has_servers(topology) || !rules.sound({"topology.kind", "topology.workers"})) return;
  const std::string kind = topology_name(topology.kind);
  if (topology.servers.value_or(0) > 0)
    rules.error({"topology.servers", "topology.kind"},
                "topology.servers is {}, but topology.kind is {}, which has none: leave topology.servers out, or set "
                "topology.kind to parameter_server",
                *topology.servers, kind);
  if (topology.external_servers > 0)
    rules.error({"topology.external_servers", "topology.kind"},
                "topology.external_servers is {}, but topology.kind is {}, which has no servers",
                topology.external_servers, kind);
  if (is_alone(rules) && (topology.kind == TopologyKind::gossip || topology.external > 0))
    rules.error({"topology.workers", "topology.kind"},
                "topology.kind is {}, but there is only one worker: set topology.workers to 2 or more, or "
                "topology.kind to parameter_server",
                kind);
  if (topology.workers > 1 && !is_split(rules) && rules.job.faults.on_worker_loss == OnWorkerLoss::keep_going)
    rules.error({"faults.on_worker_loss", "topology.kind"},
                "a run without servers needs all its workers: set faults.on_worker_loss to stop or restart, or "
                "topology.kind to parameter_server");
}

/// Empty places, which workers may take while the run goes on.
void check_places(Rules& rules) {
  const Topology& topology = rules.job.topology;
  if (!topology.max_workers || !rules.sound({"topology.max_workers", "topology.workers"})) return;
  const std::int64_t most = *topology.max_workers;
  const auto refuse = [&](const char* other, const std::string& why) {
    rules.error({"topology.max_workers", other},
                "topology.max_workers is {}, but topology.workers is {} and {}: leave topology.max_workers out", most,
                topology.workers, why);
  };
  if (most < topology.workers)
    rules.error({"topology.max_workers"},
                "topology.max_workers is {}, but topology.workers is {}: a run begins with "
                "all of these",
                most, topology.workers);
  if (most <= topology.workers) return;
  if (is_split(rules))
    refuse("topology.split", "nobody can join a network that is split");
  else if (!has_servers(topology) && rules.sound({"topology.kind"}))
    refuse("topology.kind", "without servers nobody can join a run that has begun");
  else if (topology.servers == 0)
    refuse("topology.servers", "nobody can join a run in one process");
  else if (rules.job.data.sharing == Sharing::peer)
    refuse("data.sharing", "data.sharing: peer has given all rows to those who began");
}

void check_restart(Rules& rules) {
  const Job& job = rules.job;
  if (job.faults.on_worker_loss != OnWorkerLoss::restart || job.data.sharing != Sharing::peer || is_split(rules) ||
      !has_servers(job.topology))
    return;
  rules.error({"faults.on_worker_loss", "data.sharing"},
              "data.sharing: peer gives a worker rows to hold for the others when the run begins, so that nobody can "
              "take its place: set faults.on_worker_loss to continue, or data.sharing to central");
}

void check_faults(Rules& rules) {
  const Faults& faults = rules.job.faults;
  const std::int64_t workers = rules.job.topology.workers;
  if (!rules.sound({"topology.workers"})) return;
  check_restart(rules);
  if (faults.min_workers > workers)
    rules.error({"faults.min_workers"}, "faults.min_workers is {}, but topology.workers is {}", faults.min_workers,
                workers);
  if (faults.on_worker_loss == OnWorkerLoss::keep_going && workers == 1 && !grows(rules.job.topology))
    rules.idle("faults.on_worker_loss", "without its only worker the run cannot go on");
  if (is_alone(rules)) rules.idle("faults.max_restarts", "a run in one process has no roles to start anew");
  if (faults.on_worker_loss == OnWorkerLoss::stop && rules.sound({"faults.on_worker_loss"}))
    rules.idle("faults.min_workers", "faults.on_worker_loss is stop");
}

/// Where workers step by themselves, each clips its own gradient.
bool clips_at_servers(PolicyName policy) {
  using P = PolicyName;
  return policy != P::local && policy != P::bmuf && policy != P::easgd;
}

/// What a standby would have to know beside a slice is refused.
void check_replicas(Rules& rules) {
  const Job& job = rules.job;
  if (job.faults.replicas == 0 || !rules.sound({"faults.replicas", "topology.kind", "sync.policy"})) return;
  if (!has_servers(job.topology))
    return rules.error({"faults.replicas", "topology.kind"},
                       "faults.replicas keeps servers' slices, and topology.kind is {}, which has none: set "
                       "faults.replicas to 0, or topology.kind to parameter_server",
                       topology_name(job.topology.kind));
  if (is_single(rules)) return rules.idle("faults.replicas", "a run without servers has no slices to keep");
  if (is_split(rules))
    rules.error({"faults.replicas", "topology.split.pipeline", "topology.split.tensor"},
                "faults.replicas is not for networks that are split: set it to 0");
  if (job.topology.external_servers > 0)
    rules.error({"faults.replicas", "topology.external_servers"},
                "faults.replicas starts standbys beside servers of this machine, and topology.external_servers is {}: "
                "set one of the two to 0",
                job.topology.external_servers);
  if (job.sync.policy == PolicyName::quorum || job.sync.policy == PolicyName::adaptive)
    rules.error({"faults.replicas", "sync.policy"},
                "under {} a server decides by what only it has seen, which no standby keeps: set faults.replicas to 0, "
                "or sync.policy to another",
                policy_name(job.sync.policy));
  if (job.faults.on_worker_loss != OnWorkerLoss::stop)
    rules.error({"faults.replicas", "faults.on_worker_loss"},
                "faults.replicas needs faults.on_worker_loss: stop, since a standby does not keep who takes part: set "
                "faults.replicas to 0, or faults.on_worker_loss to stop");
  if (grows(job.topology))
    rules.error({"faults.replicas", "topology.max_workers"},
                "faults.replicas is for a run whose workers stay the same, and topology.max_workers lets it grow: set "
                "faults.replicas to 0, or leave topology.max_workers out");
  if (job.sync.compensation == Compensation::delay)
    rules.error({"faults.replicas", "sync.compensation"},
                "sync.compensation: delay looks at weights that workers had, which no standby keeps: set "
                "faults.replicas to 0, or sync.compensation to another");
  if (job.train.clip_norm > 0 && job.topology.servers.value_or(1) > 1 && clips_at_servers(job.sync.policy))
    rules.error({"faults.replicas", "train.clip_norm", "topology.servers"},
                "{} servers tell each other sums of squares for train.clip_norm, which no standby keeps: set "
                "topology.servers to 1, or faults.replicas to 0",
                *job.topology.servers);
}

void check_links(Rules& rules) {
  const Inject& inject = rules.job.faults.inject;
  if (is_alone(rules)) {
    rules.idle("faults.inject.bandwidth", "a run in one process has no links");
    rules.idle("faults.inject.latency", "a run in one process has no links");
  } else if (inject.slows_links() && rules.job.topology.transport == Transport::shared_memory) {
    rules.warning({"faults.inject.bandwidth", "faults.inject.latency", "topology.transport"},
                  "roles on this machine will not exchange through shared memory, which is no link to be slow; "
                  "topology.transport: ipc says so too");
  }
}

/// The rank that faults.inject makes slow is one of the run's.
void check_injection(Rules& rules) {
  const std::string& text = rules.job.faults.inject.compute;
  if (!rules.sound({"faults.inject.compute"})) return;
  if (text.empty()) return rules.idle("faults.inject.unit", "faults.inject.compute names no distribution");
  if (is_alone(rules)) rules.idle("faults.inject.compute", "a run in one process has nobody who waits for it");
  const auto parsed = parse_distribution(text);
  if (const auto* problem = std::get_if<std::string>(&parsed))
    return rules.error({"faults.inject.compute"}, "faults.inject.compute must be {}", *problem);
  const auto rank = std::get<Distribution>(parsed).slow_rank();
  if (!rank || *rank < rules.job.topology.data_ranks() ||
      !rules.sound({"topology.workers", "topology.split.pipeline", "topology.split.tensor"}))
    return;
  if (is_split(rules))
    rules.error({"faults.inject.compute"},
                "faults.inject.compute names rank {}, but there are {}: all workers of one are slow together, and "
                "replicas count from 0",
                *rank, sharers(rules));
  else
    rules.error({"faults.inject.compute"},
                "faults.inject.compute names rank {}, but topology.workers is {}: ranks count from 0", *rank,
                rules.job.topology.workers);
}

}  // namespace

bool is_single(const Rules& rules) {
  const Topology& topology = rules.job.topology;
  const bool outsiders = topology.external > 0 || topology.external_servers > 0 || grows(topology);
  if (!has_servers(topology)) return topology.data_ranks() == 1;
  return topology.servers == 0 || (!topology.servers && topology.data_ranks() == 1 && !outsiders);
}

bool is_alone(const Rules& rules) { return is_single(rules) && rules.job.topology.split.cells() == 1; }

void check_train(Rules& rules) {
  check_optimizer(rules);
  check_schedule(rules);
  check_batch(rules);
  if (rules.changed("train.steps") && !rules.given("train.epochs"))
    rules.warning({"train.steps"}, "train.epochs is 1 by default and may end the run before train.steps; give both");
}

void check_cluster(Rules& rules) {
  check_hosts(rules);
  check_servers(rules);
  check_split(rules);
  check_kind(rules);
  check_peers(rules);
  if (is_alone(rules)) rules.idle("topology.transport", "a run in one process exchanges nothing");
  check_places(rules);
  check_faults(rules);
  check_replicas(rules);
  check_links(rules);
  check_injection(rules);
}

}  // namespace dtrain::job
