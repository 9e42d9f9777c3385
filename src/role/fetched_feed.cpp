#include "role/fetched_feed.hpp"

#include <algorithm>
#include <cstring>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/text.hpp"

namespace dtrain::role {

FetchedFeed::FetchedFeed(Link& link, const plan::Plan& plan, const Welcome& welcome)
    : link_(link),
      plan_(plan),
      encoding_(welcome.encoding),
      rank_(static_cast<std::uint32_t>(welcome.rank)),
      workers_(static_cast<std::uint32_t>(plan.workers)),
      trades_(plan.trades_rows()),
      loaders_(static_cast<std::size_t>(plan.loaders())),
      givers_(static_cast<std::size_t>(plan.readers())),
      first_giver_(loaders_ - givers_),
      width_(plan.width),
      steps_(plan.total_steps),
      division_(plan.job, plan.facts, everyone(plan.workers)) {
  if (trades_) server_.emplace(link, welcome);
}

std::vector<std::string> FetchedFeed::endpoints() const {
  return server_ ? server_->endpoints() : std::vector<std::string>();
}

void FetchedFeed::start(const Start& start, Connections& connections) {
  connections_ = &connections;
  const std::string identity = "rows-" + std::to_string(rank_) + "-" + hex(link_.self().incarnation);
  for (std::size_t k = 0; k < start.row_endpoints.size(); ++k)
    sources_.push_back(
        connect_data(link_, plan_, row_address(plan_, start, static_cast<int>(k)), identity, connections));
  gone_.assign(sources_.size(), false);
  if (!trades_) return;
  server_->allow(start.allowed);
  const auto total = static_cast<std::uint64_t>(plan_.facts.train_rows);
  const std::uint64_t held = total > rank_ ? (total - rank_ + workers_ - 1) / workers_ : 0;
  if (held > 0) {
    ask_for(sources_[0], link_.self(), asked_++, RowRange{rank_, workers_, held});
  } else {
    trades_ = false;  // fewer rows than workers: there is nothing to hold
  }
}

/// What is foreseen wrongly, as under quorum, is asked for when it is due.
void FetchedFeed::expect(Index step) {
  if (std::exchange(due_, step) != step) awaited_.reset();
  next_ = std::max(next_, step);
  for (; next_ <= step + plan_.ahead() && next_ < steps_; ++next_) {
    const auto rows = division_.rows(next_, static_cast<int>(rank_));
    if (!rows.empty() && find(rows) == batches_.end()) batches_.push_back(request(rows));
  }
}

std::deque<FetchedFeed::Batch>::iterator FetchedFeed::find(std::span<const std::uint32_t> rows) {
  return std::find_if(batches_.begin(), batches_.end(),
                      [rows](const Batch& batch) { return std::ranges::equal(rows, batch.rows); });
}

bool FetchedFeed::Batch::here() const {
  return std::all_of(parts.begin(), parts.end(), [](const Part& part) { return part.here(); });
}

bool FetchedFeed::has(std::span<const std::uint32_t> rows) {
  receive();
  auto batch = find(rows);
  if (batch == batches_.end()) batch = batches_.insert(batches_.begin(), request(rows));
  if (!batch->here()) return wait_for(*batch), false;
  awaited_.reset();
  return true;
}

/// Nobody may wait for ever: whoever is asked lives, or the coordinator had ended the run.
void FetchedFeed::wait_for(const Batch& batch) {
  if (!awaited_) awaited_ = Deadline(3 * Seconds(plan_.job.faults.stalled_after));
  if (!awaited_->passed()) return;
  const auto late = std::ranges::find_if(batch.parts, [](const Part& part) { return !part.here(); });
  fail(Kind::lost, "{} rows have not come from {} {} within {} (three times faults.stalled_after)", late->rows.size(),
       late->source < loaders_ ? "loader" : "worker", late->source < loaders_ ? late->source : late->source - loaders_,
       human_seconds(3 * plan_.job.faults.stalled_after));
}

/// Batches take turns among the loaders.
std::size_t FetchedFeed::source_of(std::uint32_t row) const {
  if (!plan_.trades_rows()) return first_giver_ + (rank_ + divided_) % givers_;
  const std::size_t holder = loaders_ + row % workers_;
  return gone_[holder] ? 0 : holder;
}

FetchedFeed::Batch FetchedFeed::divide(std::span<const std::uint32_t> rows) const {
  Batch batch{{rows.begin(), rows.end()}, {}};
  for (std::uint32_t k = 0; k < rows.size(); ++k) {
    const std::size_t source = source_of(rows[k]);
    const auto same = [source](const Part& part) { return part.source == source; };
    auto part = std::find_if(batch.parts.begin(), batch.parts.end(), same);
    if (part == batch.parts.end()) {
      part = batch.parts.emplace(part);
      part->source = source;
    }
    part->rows.push_back(rows[k]);
    part->places.push_back(k);
  }
  return batch;
}

FetchedFeed::Batch FetchedFeed::request(std::span<const std::uint32_t> rows) {
  Batch batch = divide(rows);
  ++divided_;
  for (Part& part : batch.parts) {
    if (ours(part))
      part.opened = shard_;
    else
      ask(part);
  }
  return batch;
}

void FetchedFeed::ask(Part& part) {
  part.number = asked_++;
  part.parcel = {};
  ask_for(sources_[part.source], link_.self(), part.number, part.rows);
}

void FetchedFeed::watch(wire::Poller& poller) {
  for (wire::Socket& source : sources_) poller.add(source);
}

void FetchedFeed::receive() {
  if (server_) server_->check();
  const auto tell = [this](const std::string& why) { link_.tell_refusal(why); };
  for (std::size_t k = 0; k < sources_.size(); ++k)
    while (auto message = sources_[k].receive(link_.self().nonce, tell)) take(k, *message);
}

/// Answers to what is not waited for any more are dropped.
void FetchedFeed::take(std::size_t source, wire::Message& message) {
  const wire::Header& header = message.header;
  if (trades_ && !shard_) return take_shard(message);
  for (Batch& batch : batches_)
    for (Part& part : batch.parts) {
      if (part.number != header.clock || part.source != source || part.here()) continue;
      if (header.type == wire::Type::batch) {
        if (message.size() == part.rows.size() * static_cast<std::size_t>(width_ + 1) * sizeof(float))
          part.encoded = std::move(message);
      } else if (header.type == wire::Type::rows && part.parcel.add(message) && part.parcel.complete()) {
        part.opened = part.parcel.open(encoding_);
      }
      return;
    }
}

void FetchedFeed::take_shard(const wire::Message& message) {
  if (!shard_parcel_.add(message) || !shard_parcel_.complete()) return;
  shard_ = shard_parcel_.open(encoding_);
  server_->serve(shard_, rank_, workers_);
}

void FetchedFeed::gather(std::span<const std::uint32_t> rows, Matrix features, std::span<float> targets) {
  const auto batch = find(rows);
  for (const Part& part : batch->parts) {
    if (part.encoded) {
      gather_encoded(part, features, targets);
      continue;
    }
    for (std::uint32_t k = 0; k < part.places.size(); ++k) {
      const std::uint32_t at = ours(part) ? part.rows[k] / workers_ : k;
      part.opened->gather({&at, 1}, Matrix(features.row(part.places[k]), 1, width_),
                          targets.subspan(part.places[k], 1));
    }
  }
  batches_.erase(batches_.begin(), batch);  // it stays itself: the step may have to be done again
}

void FetchedFeed::gather_sparse(std::span<const std::uint32_t> rows, SparseBatch& batch, std::span<float> targets) {
  const auto found = find(rows);
  std::vector<std::pair<const Part*, std::uint32_t>> places(rows.size());
  for (const Part& part : found->parts)
    for (std::uint32_t k = 0; k < part.places.size(); ++k) places[part.places[k]] = {&part, k};
  batch.begins.assign(1, 0), batch.indices.clear(), batch.values.clear();
  for (std::size_t k = 0; k < rows.size(); ++k) {
    append(*places[k].first, places[k].second, batch, targets[k]);
    batch.begins.push_back(static_cast<std::uint32_t>(batch.indices.size()));
  }
  batches_.erase(batches_.begin(), found);
}

/// Row `at` of a part. One that was encoded elsewhere has its zeros with it.
void FetchedFeed::append(const Part& part, std::uint32_t at, SparseBatch& batch, float& target) {
  if (!part.encoded) {
    const std::uint32_t row = ours(part) ? part.rows[at] / workers_ : at;
    part.opened->gather_sparse({&row, 1}, one_, {&target, 1});
    batch.indices.insert(batch.indices.end(), one_.indices.begin(), one_.indices.end());
    batch.values.insert(batch.values.end(), one_.values.begin(), one_.values.end());
    return;
  }
  const auto* bytes = static_cast<const std::byte*>(part.encoded->data());
  const std::size_t row_bytes = static_cast<std::size_t>(width_) * sizeof(float), count = part.places.size();
  for (std::uint32_t feature = 0; static_cast<Index>(feature) < width_; ++feature) {
    float value = 0;
    std::memcpy(&value, bytes + at * row_bytes + feature * sizeof(float), sizeof(float));
    if (value == 0) continue;
    batch.indices.push_back(feature);
    batch.values.push_back(value);
  }
  std::memcpy(&target, bytes + count * row_bytes + at * sizeof(float), sizeof(float));
}

/// The payload need not be aligned for floats.
void FetchedFeed::gather_encoded(const Part& part, Matrix features, std::span<float> targets) const {
  const auto* bytes = static_cast<const std::byte*>(part.encoded->data());
  const std::size_t row_bytes = static_cast<std::size_t>(width_) * sizeof(float), count = part.places.size();
  for (std::size_t k = 0; k < count; ++k) {
    std::memcpy(features.row(static_cast<Index>(part.places[k])), bytes + k * row_bytes, row_bytes);
    std::memcpy(&targets[part.places[k]], bytes + count * row_bytes + k * sizeof(float), sizeof(float));
  }
}

/// Its shard is to be had from the loader too.
void FetchedFeed::lose(int rank) {
  if (!plan_.trades_rows()) return;
  const std::size_t lost = loaders_ + static_cast<std::size_t>(rank);
  gone_.at(lost) = true;
  connections_->forget(fmt::format("worker {}", rank));
  for (Batch& batch : batches_)
    for (Part& part : batch.parts)
      if (part.source == lost && !part.here()) part.source = 0, ask(part);
}

/// What was foreseen is not what will be due.
void FetchedFeed::set_active(const std::vector<int>& active) {
  division_.set_active(active);
  batches_.clear();
  next_ = 0;
}

}  // namespace dtrain::role
