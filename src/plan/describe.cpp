/// The plan as numbers for programs and as a table for people.

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "base/text.hpp"
#include "data/division.hpp"
#include "job/catalogue.hpp"
#include "job/hosts.hpp"
#include "job/places.hpp"
#include "plan/describe_cells.hpp"
#include "plan/packing.hpp"
#include "plan/plan.hpp"
#include "plan/sparse.hpp"
#include "plan/standby.hpp"
#include "sync/policy.hpp"

namespace dtrain::plan {
namespace {

std::vector<Index> first_step_counts(const Plan& plan) {
  std::vector<int> everyone;
  for (int rank = 0; rank < plan.workers; ++rank) everyone.push_back(rank);
  data::Division division(plan.job, plan.facts, everyone);
  std::vector<Index> counts;
  for (int rank : everyone) counts.push_back(division.count(0, rank));
  return counts;
}

/// Of server m, counted over all cells.
const Slice& slice_of(const Plan& plan, int m) {
  const std::vector<Slice>& slices = plan.of_cell(plan.cell_of_server(m)).slices;
  return slices[static_cast<std::size_t>(m % plan.servers_of_cell())];
}

std::string layer_words(const model::Layout& layout, const Slice& slice) {
  std::string words;
  for (const model::Tensor& tensor : layout.tensors) {
    const Index from = std::max(tensor.offset, slice.begin), to = std::min(tensor.offset + tensor.count(), slice.end);
    if (from >= to) continue;
    if (!words.empty()) words += ", ";
    words += to - from == tensor.count()
                 ? tensor.name
                 : fmt::format("{} of {}", tensor.name,
                               fmt::format("{:.0f} %", 100.0 * double(to - from) / double(tensor.count())));
  }
  return words;
}

double rows_of_a_fold(const Plan& plan) {
  const auto workers = double(plan.workers), batch = double(plan.job.train.batch);
  if (plan.job.sync.policy == job::PolicyName::quorum) return batch * double(*plan.job.sync.quorum) / workers;
  if (plan.job.sync.policy == job::PolicyName::subset) return batch * double(*plan.job.sync.size) / workers;
  return batch;
}

std::string steps_words(const Plan& plan) {
  if (plan.job.sync.policy == job::PolicyName::subset)
    return fmt::format("{} in all, {} rows each from {} of {} workers", with_commas(plan.total_steps),
                       with_commas(std::llround(rows_of_a_fold(plan))), *plan.job.sync.size, plan.workers);
  if (plan.job.sync.policy == job::PolicyName::quorum && *plan.job.sync.quorum < plan.workers)
    return fmt::format("about {} in all, {} rows each from the first {} of {} workers",
                       with_commas(std::llround(std::ceil(double(plan.total_rows) / rows_of_a_fold(plan)))),
                       with_commas(std::llround(rows_of_a_fold(plan))), *plan.job.sync.quorum, plan.workers);
  return fmt::format("{} an epoch, {} in all, {} rows each", with_commas(plan.steps_per_epoch),
                     with_commas(plan.total_steps), with_commas(plan.job.train.batch));
}

/// Where rows come from other processes.
std::string rows_words(const Plan& plan) {
  const bool staged = plan.job.data.sharing == job::Sharing::staged;
  const std::string loaders = fmt::format("{} loader{}", plan.readers(), plan.readers() == 1 ? "" : "s");
  const std::string held = plan.trades_rows()
                               ? fmt::format("each of {} workers holds a part and sends to the others", plan.workers)
                           : staged ? fmt::format("{} read them, as many others encode them", loaders)
                                    : loaders + " sends them";
  return fmt::format("{}; up to {} batches under way to a worker", held, with_commas(plan.ahead()));
}

std::string step_words(const Plan& plan) {
  const double rate = plan.job.train.optimizer.learning_rate;
  if (sync::traits(plan.job.sync).votes)
    return fmt::format("each weight goes {} where the majority's sign leads{}", shortest(rate),
                       plan.job.sync.vote_feedback ? ", with feedback of what signs leave out" : "");
  return fmt::format("learning rate {} per step, {:.3g} per row", shortest(rate), rate / rows_of_a_fold(plan));
}

std::string push_words(const Plan& plan) {
  const job::Sync& sync = plan.job.sync;
  const double rate = plan.job.train.optimizer.learning_rate, per_row = rate / double(plan.job.train.batch);
  std::string words = step_words(plan);
  if (sync.rate == job::Rate::full)
    words =
        fmt::format("learning rate {} per push, {:.3g} per row (bsp would have {:.3g}; sync.rate: share scales it so)",
                    shortest(rate), per_row * plan.workers, per_row);
  if (sync.compensation == job::Compensation::staleness) words += ", divided by the staleness";
  if (sync.compensation == job::Compensation::delay)
    words += fmt::format(", gradients corrected for their delay by {}", shortest(sync.lambda));
  return words;
}

std::string exchange_words(const Plan& plan) {
  const job::Sync& sync = plan.job.sync;
  const Index single = single_until_steps(plan);
  if (sync.policy == job::PolicyName::gossip) return "weights averaged with a partner in every step";
  std::string words = single == 0
                          ? fmt::format("every {}", plan.period())
                          : fmt::format("at each of the first {}, then every {}", with_commas(single), plan.period());
  if (sync.policy == job::PolicyName::easgd) return fmt::format("elastic pull by {:.3g} {}", *sync.alpha, words);
  words = (plan.averages_moments() ? "weights and moments averaged " : "weights averaged ") + words;
  if (sync.policy == job::PolicyName::adaptive) words += fmt::format(" at first, {} to {} later", sync.low, sync.high);
  if (sync.policy == job::PolicyName::bmuf)
    words += fmt::format(", block momentum {:.3g}{}", *sync.block_momentum, sync.nesterov ? " (nesterov)" : "");
  return words;
}

std::string own_step_words(const Plan& plan) {
  const Index rows = (plan.job.train.batch + plan.workers - 1) / plan.workers;
  return fmt::format("learning rate {} per own step of {} rows; {}", shortest(plan.job.train.optimizer.learning_rate),
                     rows, exchange_words(plan));
}

std::string sync_words(const Plan& plan) {
  const sync::Traits traits = sync::traits(plan.job.sync);
  return fmt::format("{}; {}", sync::spec(plan.job.sync),
                     traits.weights ? own_step_words(plan)
                     : traits.gated ? step_words(plan)
                                    : push_words(plan));
}

/// Without servers.
std::string collective_words(const Plan& plan) {
  if (plan.pairs())
    return fmt::format("in pairs: even ranks ask, odd ranks answer; {} sent a worker and step",
                       human_bytes(plan.push_bytes()));
  const Plan& part = plan.of_cell(0);
  const std::string of = plan.grid.split() ? " with the same part" : "";
  const char* why = plan.job.topology.kind == job::TopologyKind::automatic ? ", chosen by sizes and numbers" : "";
  return fmt::format("{} among {} workers{}{}, {} bucket{}; {} sent a worker and step",
                     collective::name(part.algorithm), plan.workers, of, why, part.buckets.size(),
                     part.buckets.size() == 1 ? "" : "s", human_bytes(plan.push_bytes()));
}

std::string wire_words(const Plan& plan) {
  if (plan.peers()) return collective_words(plan);
  const double push = plan.push_bytes(), pull = plan.pull_bytes();
  const bool at_most = packs_gradients(plan) && plan.job.sync.codec == job::Codec::zstd;
  std::string words = (at_most ? "at most " : "") + human_bytes(push + pull) + " a worker and step, ";
  words += push == pull ? "half of it each way" : fmt::format("{} of it to the servers", human_bytes(push));
  if (plan.job.sync.policy == job::PolicyName::ssp && plan.job.sync.eager)
    words += ", and fresh weights whenever the slowest moves on";
  return words;
}

/// What crosses the busiest link in one direction per step in the mean, and whose link that is.
std::pair<double, const char*> busiest_link(const Plan& plan) {
  double worker = 0, server = 0;
  for (int c = 0; c < plan.grid.cells(); ++c) {
    const Plan& part = plan.of_cell(c);
    const double bytes = std::max(part.push_bytes(), part.pull_bytes());
    worker = std::max(worker, bytes);
    for (const Slice& slice : part.slices)
      if (plan.servers > 0)
        server = std::max(server, bytes * part.workers * double(slice.end - slice.begin) / double(part.layout.total));
  }
  return server > worker ? std::pair{server, "server"} : std::pair{worker, "worker"};
}

/// What the links alone allow, whatever computes.
std::string link_words(const Plan& plan) {
  const job::Inject& inject = plan.job.faults.inject;
  const auto [bytes, whose] = busiest_link(plan);
  std::string words;
  if (inject.bandwidth > 0)
    words = fmt::format("at {} a step's exchange takes at least {}: {} each way at a {}", human_rate(inject.bandwidth),
                        human_seconds(8 * bytes / inject.bandwidth), human_bytes(bytes), whose);
  if (inject.latency > 0)
    words += fmt::format("{}a message is under way for {}", words.empty() ? "" : "; ", human_seconds(inject.latency));
  return words;
}

Json sparse_json(const Plan& plan) {
  constexpr std::array names{"none", "input", "rows"};
  return {{"used", names.at(static_cast<std::size_t>(plan.sparse))},
          {"nonzeros", plan.facts.nonzeros},
          {"touched_rows_per_step", touched_rows(plan)},
          {"dense_exchange", dense_exchange_reason(plan)}};
}

Index sum(const std::vector<Index>& rows) { return std::accumulate(rows.begin(), rows.end(), Index{0}); }

Json shards_json(const data::Shards& shards) {
  Json out = Json::array();
  for (std::size_t i = 0; i < shards.rows.size(); ++i) {
    Json classes = Json::object();
    for (std::size_t c = 0; c < shards.classes.size(); ++c) classes[shards.classes[c]] = shards.rows[i][c];
    out.push_back({{"worker", i}, {"rows", sum(shards.rows[i])}, {"classes", classes}});
  }
  return out;
}

/// Rows of each class at each worker; of more classes than fit a line, how many are there and the largest.
std::string shards_table(const data::Shards& shards) {
  constexpr std::size_t widest = 12;
  const bool number = shards.classes.size()<2, many = shards.classes.size()> widest;
  std::string out = fmt::format("{:<10} {:>10}", "shard", "rows");
  if (many) out += fmt::format(" {:>10} {:>10}", "classes", "largest");
  for (std::size_t c = 0; !number && !many && c < shards.classes.size(); ++c)
    out += fmt::format(" {:>10}", shards.classes[c].substr(0, 10));
  for (std::size_t i = 0; i < shards.rows.size(); ++i) {
    const std::vector<Index>& rows = shards.rows[i];
    out += fmt::format("\n{:<10} {:>10}", fmt::format("worker {}", i), with_commas(sum(rows)));
    if (many)
      out += fmt::format(" {:>10} {:>10}", std::count_if(rows.begin(), rows.end(), [](Index n) { return n > 0; }),
                         with_commas(*std::max_element(rows.begin(), rows.end())));
    for (std::size_t c = 0; !number && !many && c < rows.size(); ++c)
      out += fmt::format(" {:>10}", with_commas(rows[c]));
  }
  return out + "\n";
}

/// Where a role runs, if not as a matter of course here.
std::string place_words(const Plan& plan, const job::HostRoles* host, bool external) {
  if (plan.job.topology.hosts.empty()) return external ? ", joins from outside" : "";
  return host == nullptr ? "" : ", on " + host->host;
}

/// The same for programs.
void put_host(Json& role, const job::HostRoles* host) {
  if (host != nullptr) role["host"] = host->host;
}

std::string hosts_words(const Plan& plan) {
  const job::Topology& topology = plan.job.topology;
  return job::describe_hosts(topology) +
         (topology.launch == job::Launch::ssh ? "; started over ssh" : "; started by hand");
}

}  // namespace

Json to_json(const Plan& plan) {
  Json out;
  out["weights"] = plan.layout.total;
  out["workers"] = plan.processes();
  if (job::grows(plan.job.topology)) out["places"] = plan.places();
  out["servers"] = plan.servers;
  out["threads"] = plan.threads;
  out["policy"] = job::policy_name(plan.job.sync.policy);
  out["policy_spec"] = sync::spec(plan.job.sync);
  out["train_rows"] = plan.facts.train_rows;
  out["test_rows"] = plan.facts.test_rows;
  out["width"] = plan.width;
  out["skipped_rows"] = plan.facts.skipped_rows;
  out["data_hash"] = plan.facts.hash;
  out["steps_per_epoch"] = plan.steps_per_epoch;
  out["steps"] = plan.total_steps;
  out["rows"] = plan.total_rows;
  out["flops_per_row"] = plan.flops_per_row();
  if (plan.peers()) out["algorithm"] = collective::name(plan.algorithm);
  out["bytes_per_worker_step"] = plan.bytes_per_worker_step();
  out["codec"] = codec_label(plan.job);
  if (plan.facts.nonzeros > 0) out["sparse"] = sparse_json(plan);
  out["push_bytes_per_step"] = plan.push_bytes();
  out["pull_bytes_per_step"] = plan.pull_bytes();
  out["roles"] = Json::array();
  for (int m = 0; m < plan.servers; ++m) {
    const Slice& slice = slice_of(plan, m);
    Json pieces = Json::array();
    for (const Piece& piece : slice.pieces) pieces.push_back({{"offset", piece.offset}, {"count", piece.count}});
    out["roles"].push_back({{"role", "server"},
                            {"rank", m},
                            {"begin", slice.begin},
                            {"end", slice.end},
                            {"pieces", pieces},
                            {"memory_bytes", server_memory(plan, m).total()}});
    put_host(out["roles"].back(), job::host_of_server(plan.job.topology, m));
  }
  for (int m = 0; plan.job.faults.replicas > 0 && m < plan.servers; ++m)
    out["roles"].push_back({{"role", "standby"},
                            {"rank", m},
                            {"bytes_per_update", kept_bytes(plan, m)},
                            {"memory_bytes", standby_memory(plan, m).total()}});
  const std::vector<Index> counts = first_step_counts(plan);
  for (int rank = 0; rank < plan.processes(); ++rank) {
    out["roles"].push_back({{"role", "worker"},
                            {"rank", rank},
                            {"batch_rows", counts[static_cast<std::size_t>(plan.grid.data_of(rank))]},
                            {"external", job::is_external_worker(plan.job.topology, rank, plan.processes())},
                            {"memory_bytes", worker_memory(plan.of_cell(plan.grid.cell_of(rank))).total()}});
    put_host(out["roles"].back(), job::host_of_worker(plan.job.topology, rank));
  }
  if (plan.grid.split()) out.update(cells_json(plan));
  out["sharing"] = {{"loaders", plan.loaders()}};
  if (plan.loaders() > 0) out["sharing"]["ahead"] = plan.ahead();
  if (!plan.facts.shards.rows.empty()) out["shards"] = shards_json(plan.facts.shards);
  out["warnings"] = plan.warnings;
  return out;
}

std::string render(const Plan& plan) {
  std::string out;
  const auto line = [&out](std::string_view name, const std::string& text) {
    out += fmt::format("{:<10} {}\n", name, text);
  };
  std::string shape = std::to_string(plan.width);
  for (const job::Layer& layer : plan.job.model.layers) shape += fmt::format("-{}", layer.dense);
  line("model", fmt::format("{}: {} weights, {}, {:.3g} MFLOP a row", shape, with_commas(plan.layout.total),
                            human_bytes(double(plan.step_bytes())), plan.flops_per_row() / 1e6));
  const std::string skipped =
      plan.facts.skipped_rows > 0 ? fmt::format("; {} rows left out", with_commas(plan.facts.skipped_rows)) : "";
  line("data", fmt::format("{} training rows, {} test rows, {} features{}", with_commas(plan.facts.train_rows),
                           with_commas(plan.facts.test_rows), with_commas(plan.width), skipped));
  if (plan.loaders() > 0) line("rows", rows_words(plan));
  line("steps", steps_words(plan));
  line("sync", sync_words(plan));
  line("host", fmt::format("{}: {} cores, {} of memory; {} thread{} a role", plan.host.name, plan.host.cores,
                           human_bytes(double(plan.host.memory)), plan.threads, plan.threads == 1 ? "" : "s"));
  if (!plan.job.topology.hosts.empty()) line("hosts", hosts_words(plan));
  if (job::grows(plan.job.topology))
    line("places", fmt::format("{} worker{} when the run begins; up to {} in all, who may join at any time",
                               plan.workers, plan.workers == 1 ? "" : "s", plan.places()));
  if (plan.grid.split()) line("grid", grid_words(plan));
  if (plan.grid.pipeline > 1) line("pipeline", pipeline_words(plan));
  if (plan.grid.split()) line("replica", replica_words(plan));
  if (plan.owners() > 1 || plan.servers > 0) line("wire", wire_words(plan));
  if (plan.owners() > 1 || plan.servers > 0)
    if (plan.job.faults.inject.slows_links()) line("link", link_words(plan));
  if (packs_gradients(plan)) line("codec", codec_words(plan));
  if (plan.facts.nonzeros > 0) line("sparse", sparse_words(plan));
  out += "\n";
  if (plan.grid.split()) out += cells_table(plan) + "\n";
  for (int m = 0; m < plan.servers; ++m) {
    const Slice& slice = slice_of(plan, m);
    line(fmt::format("server {}", m), fmt::format("weights {}..{} ({}) in {} piece{}: {}{}; {} of memory", slice.begin,
                                                  slice.end, human_bytes(4.0 * double(slice.end - slice.begin)),
                                                  slice.pieces.size(), slice.pieces.size() == 1 ? "" : "s",
                                                  layer_words(plan.of_cell(plan.cell_of_server(m)).layout, slice),
                                                  place_words(plan, job::host_of_server(plan.job.topology, m), false),
                                                  human_bytes(double(server_memory(plan, m).total()))));
  }
  for (int m = 0; plan.job.faults.replicas > 0 && m < plan.servers; ++m)
    line(fmt::format("standby {}", m),
         fmt::format("keeps what server {} has: {} of each update; {} of memory", m, human_bytes(kept_bytes(plan, m)),
                     human_bytes(double(standby_memory(plan, m).total()))));
  const std::vector<Index> counts = first_step_counts(plan);
  for (int rank = 0; rank < plan.processes(); ++rank)
    line(fmt::format("worker {}", rank),
         fmt::format("{}{} rows a step{}; {} of memory",
                     plan.grid.split() ? fmt::format("cell {}, ", plan.grid.cell_of(rank)) : "",
                     counts[static_cast<std::size_t>(plan.grid.data_of(rank))],
                     place_words(plan, job::host_of_worker(plan.job.topology, rank),
                                 job::is_external_worker(plan.job.topology, rank, plan.processes())),
                     human_bytes(double(worker_memory(plan.of_cell(plan.grid.cell_of(rank))).total()))));
  if (!plan.facts.shards.rows.empty()) out += "\n" + shards_table(plan.facts.shards);
  for (const std::string& warning : plan.warnings) out += "warning: " + warning + "\n";
  return out;
}

}  // namespace dtrain::plan
