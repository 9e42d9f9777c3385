#include "job/fields.hpp"
#include "job/key.hpp"

namespace dtrain::job {
namespace {

void add_split_keys(Keys& keys) {
  keys.push_back(map_key("topology.split",
                         "How one network is spread over pipeline x tensor workers. There may be several times as "
                         "many: all workers with the same part of the network share the rows."));
  keys.push_back(integer_key("topology.split.pipeline", JOB_FIELD(topology.split.pipeline), between(1, 1000), "1",
                             "Stages, each of some layers, through which the micro-batches of a batch pass."));
  keys.push_back(integer_key("topology.split.tensor", JOB_FIELD(topology.split.tensor), between(1, 64), "1",
                             "Workers of a stage, each with a part of its weight matrices."));
  keys.push_back(choice_key<PipelineSchedule>(
      "topology.split.schedule", JOB_FIELD(topology.split.schedule),
      {{"1f1b", PipelineSchedule::one_f_one_b}, {"gpipe", PipelineSchedule::gpipe}}, "1f1b",
      "Order in which a stage of a pipeline takes micro-batches: forward and backward in turn, which keeps the outputs "
      "of few of them (1f1b), or all forward and then all backward (gpipe). Both give the same gradient."));
}

void add_host_keys(Keys& keys) {
  keys.push_back(map_list_key("topology.hosts", LIST_FIELD(topology.hosts), false, "[{host: node1, workers: 2}]",
                              "The hosts of the run and the roles on each. The numbers of workers and servers follow "
                              "from it, and ranks count through it from 0."));
  keys.push_back(required_key(text_key("topology.hosts[].host", HOST_FIELD(host), "",
                                       "The host as ssh takes it, HOST or USER@HOST; localhost, or the name of this "
                                       "machine, for roles that are started here."),
                              "host: node1"));
  keys.push_back(
      integer_key("topology.hosts[].workers", HOST_FIELD(workers), between(0, 10000), "0", "Workers on this host."));
  keys.push_back(integer_key("topology.hosts[].servers", HOST_FIELD(servers), between(0, 1024), "0",
                             "Parameter servers on this host."));
  keys.push_back(path_key("topology.hosts[].data_dir", HOST_FIELD(data_dir), "",
                          "Folder of the data on this host, where it is not data.dir."));
  keys.push_back(choice_key<Launch>("topology.launch", JOB_FIELD(topology.launch),
                                    {{"ssh", Launch::ssh}, {"print", Launch::print}}, "ssh",
                                    "How roles on other hosts are started: over ssh, which must not ask for a "
                                    "password, or by hand, with the lines that are printed."));
  keys.push_back(text_key("topology.program", JOB_FIELD(topology.program), "dtrain",
                          "What dtrain is called on other hosts: a path, or a name that their shell finds."));
}

void add_topology_keys(Keys& keys) {
  keys.push_back(map_key("topology", "Which processes there are."));
  keys.push_back(choice_key<TopologyKind>("topology.kind", JOB_FIELD(topology.kind),
                                          {{"parameter_server", TopologyKind::parameter_server},
                                           {"ring", TopologyKind::ring},
                                           {"halving_doubling", TopologyKind::halving_doubling},
                                           {"tree", TopologyKind::tree},
                                           {"auto", TopologyKind::automatic},
                                           {"gossip", TopologyKind::gossip}},
                                          "parameter_server",
                                          "How workers reach each other: through servers that own the weights, or "
                                          "without any: by an all-reduce (ring, halving_doubling, tree, or auto, which "
                                          "chooses one by the sizes), or in pairs (gossip)."));
  keys.push_back(choice_key<Transport>(
      "topology.transport", JOB_FIELD(topology.transport),
      {{"shared_memory", Transport::shared_memory}, {"ipc", Transport::ipc}, {"tcp", Transport::tcp}}, "shared_memory",
      "How roles on this machine hand each other numbers: through memory that both see, Unix sockets, or TCP on "
      "loopback. Roles elsewhere always use TCP."));
  keys.push_back(integer_key("topology.workers", JOB_FIELD(topology.workers), between(1, 10000), "1",
                             "Processes that compute gradients, external ones included."));
  keys.push_back(integer_key("topology.external", JOB_FIELD(topology.external), between(0, 10000), "0",
                             "How many of the workers will join from outside."));
  keys.push_back(auto_integer_key("topology.max_workers", JOB_FIELD(topology.max_workers), between(1, 10000),
                                  "Most workers that a run may grow to: others may join while it goes on. auto is "
                                  "topology.workers."));
  keys.push_back(integer_key(
      "topology.loaders", JOB_FIELD(topology.loaders), between(1, 1024), "1",
      "Processes that read rows under data.sharing: staged; as many others transform them for the workers."));
  keys.push_back(auto_integer_key(
      "topology.servers", JOB_FIELD(topology.servers), between(0, 1024),
      "Processes that own slices of the weights, under topology.kind: parameter_server; 0 trains in one process; "
      "auto is 0 for one local worker and 1 otherwise. Under topology.split every part of the network has as many of "
      "its own: it is a multiple of pipeline x tensor, which auto is, or 0 where no two workers have the same part."));
  keys.push_back(integer_key("topology.external_servers", JOB_FIELD(topology.external_servers), between(0, 1024), "0",
                             "How many of the servers will join from outside."));
  keys.push_back(auto_integer_key("topology.threads", JOB_FIELD(topology.threads), between(1, 1024),
                                  "Threads of each role; auto shares out the cores of the machine."));
  keys.push_back(bytes_key("topology.memory", JOB_FIELD(topology.memory),
                           "Memory that each worker may have; a network that needs more is refused, or split; 0 sets "
                           "no limit."));
  add_split_keys(keys);
  add_host_keys(keys);
}

void add_safety_keys(Keys& keys) {
  keys.push_back(map_key("checkpoint", "What is kept to resume from."));
  keys.push_back(length_key("checkpoint.every", JOB_FIELD(checkpoint.every), true, "1 epoch",
                            "Length or time between checkpoints; 0 writes none on the way."));
  keys.push_back(integer_key("checkpoint.keep", JOB_FIELD(checkpoint.keep), between(1, 1e6), "3",
                             "How many of the newest checkpoints are kept."));
  keys.push_back(map_key("faults", "How long to wait for a role, and what to do without it."));
  keys.push_back(time_key("faults.stalled_after", JOB_FIELD(faults.stalled_after), "10 s",
                          "Time without progress after which a role counts as lost."));
  keys.push_back(
      time_key("faults.join_within", JOB_FIELD(faults.join_within), "60 s", "Time until every role must have joined."));
  keys.push_back(choice_key<OnWorkerLoss>(
      "faults.on_worker_loss", JOB_FIELD(faults.on_worker_loss),
      {{"stop", OnWorkerLoss::stop}, {"continue", OnWorkerLoss::keep_going}, {"restart", OnWorkerLoss::restart}},
      "stop",
      "What a run does when a worker is lost: end, go on with those that are left, or start "
      "it anew."));
  keys.push_back(integer_key("faults.min_workers", JOB_FIELD(faults.min_workers), between(1, 10000), "1",
                             "Fewest workers with which a run goes on."));
  keys.push_back(integer_key("faults.max_restarts", JOB_FIELD(faults.max_restarts), between(0, 1e6), "3",
                             "How often in all a lost role is started anew, or the run goes back to its last "
                             "checkpoint, before it ends."));
  keys.push_back(integer_key("faults.replicas", JOB_FIELD(faults.replicas), between(0, 1), "0",
                             "Servers beside its own that keep each slice of the weights, so that a server may be lost "
                             "and nothing with it; not with faults.on_worker_loss other than stop."));
  keys.push_back(map_key("faults.inject", "Slowness made on purpose, to measure what a policy makes of it."));
  keys.push_back(distribution_key(
      "faults.inject.compute", JOB_FIELD(faults.inject.compute),
      "How many units a step of a worker takes at least: constant:1, exponential:1, pareto:1,2.5 (least, shape), "
      "two_point:1,5,0.1 (usual, slow, how often), slow:1,3,0 (usual, factor, rank) or trace:FILE."));
  keys.push_back(time_key("faults.inject.unit", JOB_FIELD(faults.inject.unit), "100 ms",
                          "What one unit of faults.inject.compute is; ten times the time of a step or more."));
  keys.push_back(rate_key("faults.inject.bandwidth", JOB_FIELD(faults.inject.bandwidth),
                          "How much each role's link to the others carries each way, for data between servers and "
                          "workers or among workers; 0 sets no limit. Shared memory is not used over such a link."));
  keys.push_back(delay_key("faults.inject.latency", JOB_FIELD(faults.inject.latency),
                           "How long such a message is under way beside that."));
}

}  // namespace

void add_cluster_keys(Keys& keys) {
  add_topology_keys(keys);
  add_sync_keys(keys);
  add_safety_keys(keys);
  keys.push_back(map_key("output", "What is written where."));
  keys.push_back(
      path_key("output.dir", JOB_FIELD(output.dir), "runs", "Folder of the run folders; relative to the job file."));
  keys.push_back(choice_key<IfExists>(
      "output.if_exists", JOB_FIELD(output.if_exists),
      {{"new", IfExists::make_new}, {"replace", IfExists::replace}, {"fail", IfExists::fail}}, "new",
      "What happens when there is a run of that name: a new folder beside it, in its place, or an error."));
  keys.push_back(in_unit(integer_key("output.log_every", JOB_FIELD(output.log_every), between(1, 1e9), "50",
                                     "Steps between two lines of metrics."),
                         "steps"));
  keys.push_back(boolean_key("output.trace", JOB_FIELD(output.trace), "false",
                             "Whether trace.jsonl tells of every push, pull, release and application."));
  keys.push_back(assertion_list_key("assert", JOB_FIELD(assertions),
                                    "Comparisons that must hold at the end, such as test.accuracy >= 0.97; otherwise "
                                    "the exit code is 9."));
}

}  // namespace dtrain::job
