/// What comes from others and goes to them.

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.hpp"
#include "optim/optimizer.hpp"
#include "plan/packing.hpp"
#include "role/all_reduce_role.hpp"
#include "role/role.hpp"

namespace dtrain::role {
namespace {

/// The floats of a message, and what keeps them.
collective::Parcel parcel_of(wire::Message message) {
  collective::Parcel parcel;
  parcel.range = {static_cast<Index>(message.header.offset),
                  static_cast<Index>(message.header.offset + message.header.count)};
  parcel.factor = std::bit_cast<float>(static_cast<std::uint32_t>(message.header.note));
  parcel.flags = static_cast<std::uint32_t>(message.header.due);
  if (message.header.type == wire::Type::partial && message.header.rows == 0) return parcel;
  const std::shared_ptr<const float> floats = floats_of(std::move(message));
  parcel.values = floats.get();
  parcel.keeper = floats;
  return parcel;
}

std::span<const float> part(const Arena& arena, const collective::Range& range) {
  return arena.span().subspan(static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.count()));
}

}  // namespace

AllReduce::Lane::Lane(AllReduce& peer, std::size_t index, const plan::Bucket& bucket, std::size_t arena)
    : peer_(peer),
      index_(index),
      bucket_(bucket),
      arena_(arena),
      exchange_(peer.plan_.algorithm, peer.rank_, peer.plan_.workers, bucket.borders, *this) {}

wire::Header AllReduce::Lane::header(wire::Type type, const collective::Range& range, std::uint32_t flags) const {
  wire::Header header;
  header.type = type;
  header.clock = peer_.clock_;
  header.piece = static_cast<std::uint32_t>(index_);
  header.pieces = static_cast<std::uint32_t>(peer_.lanes_.size());
  header.offset = static_cast<std::uint64_t>(range.begin);
  header.count = static_cast<std::uint64_t>(range.count());
  header.due = flags;
  return header;
}

void AllReduce::Lane::send_sum(int to, const collective::Range& range, const Share& sum, std::uint32_t flags) {
  wire::Header header = this->header(wire::Type::partial, range, flags);
  header.note = std::bit_cast<std::uint32_t>(sum.factor);
  header.rows = sum.data != nullptr;
  if (sum.data == nullptr) header.count = 0;
  if (peer_.packer_ && header.count > 0) return peer_.send_packed(to, header, {sum.data, header.count});
  wire::InFlight& sending = peer_.own_ ? peer_.own_->current().in_flight : peer_.sending_;
  peer_.others_[static_cast<std::size_t>(to)]->send_floats(peer_.link_.self(), header,
                                                           {sum.data, static_cast<std::size_t>(header.count)}, sending);
}

void AllReduce::Lane::send_result(int to, const collective::Range& range, std::uint32_t flags) {
  Version& next = peer_.owner_->next();
  if (peer_.changes_ && range.count() > 0) {
    const std::vector<std::byte>& change = next.changes[*peer_.packer_->find(
        static_cast<std::uint64_t>(range.begin), static_cast<std::uint64_t>(range.count()))];
    wire::Header header = this->header(wire::Type::result, range, flags);
    header.codec = plan::codec_number(peer_.plan_.job);
    // What nobody has changed is sent as it is.
    if (!change.empty())
      return void(peer_.others_[static_cast<std::size_t>(to)]->send(peer_.link_.self(), header, change));
  }
  peer_.others_[static_cast<std::size_t>(to)]->send_floats(peer_.link_.self(), header(wire::Type::result, range, flags),
                                                           part(peer_.published(next, arena_), range), next.in_flight);
}

/// One pass over memory: fold and update. Clipping first needs the norm of the whole gradient.
bool AllReduce::Lane::finish(const collective::Range& range, std::span<const Share> shares) {
  if (range.count() == 0) return true;
  if (peer_.clips()) {
    peer_.owner_->add_squares(range.begin, shares, peer_.own_squares_);
    held_ = range, held_shares_ = shares;
    ++peer_.held_;
    return false;
  }
  peer_.owner_->step_piece(range.begin, arena_, shares);
  peer_.check_finite();
  return true;
}

void AllReduce::Lane::finish_held() {
  if (!held_) return;
  peer_.owner_->step_piece(held_->begin, arena_, held_shares_);
  peer_.check_finite();
  held_.reset();
  exchange_.finished();
}

void AllReduce::Lane::take_result(const collective::Range& range, const collective::Parcel& result) {
  float* const place = peer_.published(peer_.owner_->next(), arena_).data() + range.begin;
  if (result.values != place) std::copy_n(result.values, range.count(), place);
}

/// What is published: not always what is stored first (block momentum).
Arena& AllReduce::published(Version& version, std::size_t arena) const {
  return arena == 0 ? version.weights : version.moments[arena - 1];
}

/// Where our part of the sums lies: a gradient, or weights and the moments that are averaged with them.
Arena& AllReduce::contributed(std::size_t arena) {
  if (!own_) return gradient_;
  return published(own_->current(), arena);
}

/// All ranks push, in every copy of the policy alike; what it folds and who goes on is known before the first byte.
void AllReduce::fold_pushes(const std::vector<std::uint64_t>& rows) {
  const sync::Clock due = policy_->released(rank_).due;
  folded_.clear(), releases_.clear();
  for (int rank = 0; rank < plan_.workers; ++rank) {
    const sync::Push push{rank, due, rows[static_cast<std::size_t>(rank)], 0, 0};
    if (policy_->push(push, actions_) != sync::Verdict::taken) continue;
    ledger_.push(push);
    if (!actions_.fold.empty()) folded_ = actions_.fold;
    if (!actions_.release.empty()) releases_ = actions_.release;
  }
}

void AllReduce::begin_round(const std::vector<std::uint64_t>& rows, Index rows_after) {
  fold_pushes(rows);
  std::uint64_t total = 0;
  for (const int rank : folded_) total += rows[static_cast<std::size_t>(rank)];
  factor_.reset();
  const auto own_rows = static_cast<double>(rows[static_cast<std::size_t>(rank_)]);
  if (std::binary_search(folded_.begin(), folded_.end(), rank_))
    factor_ = traits_.votes ? 1.0f : static_cast<float>(own_rows / static_cast<double>(total));
  rows_after_ = traits_.folds_some ? owner_->current().applied_rows + static_cast<Index>(total) : rows_after;
  owner_->open(1, rows_after_);
  flags_ = (stop_wanted_ && !replica_ ? stop_flag : 0u) | (save_wanted_ ? save_flag : 0u);
  save_wanted_ = false;
  own_squares_.clear();
  held_ = 0;
  if (packer_) begin_packing();
}

void AllReduce::begin_lane(Lane& lane) {
  if (lane.exchange().begun()) return;
  if (packer_ && factor_) pack_own(lane);
  // What a replica wishes is known to all of it by now: something of this step has passed between them.
  const std::uint32_t stop = replica_ && replica_->wish() ? stop_flag : 0u;
  lane.exchange().begin(contributed(lane.arena()).data(), factor_, flags_ | stop);
}

/// What no backward has begun: all of it, where we have no rows or exchange weights. Then until all is exchanged.
void AllReduce::exchange_rest() {
  for (Lane& lane : lanes_) begin_lane(lane);
  drain();
  await(
      [this] {
        if (clips()) settle_squares();
        return all_done();
      },
      Phase::waiting);
}

bool AllReduce::all_done() {
  return std::all_of(lanes_.begin(), lanes_.end(), [](Lane& lane) { return lane.exchange().done(); });
}

/// When all of our parts are summed, everybody is told their squares; when all squares are here, all parts are stepped.
void AllReduce::settle_squares() {
  if (!squares_told_ && held_ == plan_.slices[static_cast<std::size_t>(rank_)].pieces.size()) tell_squares();
  if (!squares_told_ || std::any_of(squares_.begin(), squares_.end(), [](const auto& of) { return of.empty(); }))
    return;
  double total = 0;
  for (auto& of : squares_) {
    for (const double sum : of.front()) total += sum;
    of.pop_front();
  }
  squares_told_ = false;
  held_ = 0;
  owner_->rescale(optim::clip_factor(plan_.job.train.clip_norm, total));
  for (Lane& lane : lanes_) lane.finish_held();
}

void AllReduce::tell_squares() {
  wire::Header header;
  header.type = wire::Type::squares;
  header.clock = clock_;
  header.slice = static_cast<std::uint32_t>(number_);
  const auto tell = [&](wire::Socket& other) {
    other.send(link_.self(), header, std::as_bytes(std::span(own_squares_)));
    aside_sent_ += own_squares_.size() * sizeof(double);
  };
  for (auto& other : others_)
    if (other) tell(*other);
  for (wire::Socket& other : elsewhere_) tell(other);
  squares_[number_].push_back(own_squares_);
  squares_told_ = true;
}

void AllReduce::check_finite() const {
  if (const auto bad = owner_->not_finite())
    fail(Kind::diverged,
         "the gradient of step {} is not finite from weight {} on; a lower train.optimizer.learning_rate "
         "or train.clip_norm may help",
         clock_ + 1, model::whole_place(plan_.layout, *bad));
}

/// Every rank has the new version now, and knows who wants what.
void AllReduce::end_round() {
  const Index before = owner_->current().applied_rows;
  owner_->close();
  if (folded_.empty()) --owner_->current().updates;
  ++rounds_done_;
  if (!folded_.empty()) ledger_.apply(folded_, std::vector<sync::Clock>(folded_.size(), clock_));
  for (const sync::Release& release : releases_) ledger_.release(release);
  std::uint32_t flags = 0;
  for (Lane& lane : lanes_) flags |= lane.exchange().flags(), lane.exchange().reset();
  if (own_) adopt_published();
  stopped_ = (flags & stop_flag) != 0;
  save_if_due(before, rows_after_, flags);
  if (seconds_since(traced_at_) > 0.1 || trace_.size() > 1000) flush_trace();
}

bool AllReduce::take(wire::Message& message) {
  const wire::Header& header = message.header;
  if (header.type == wire::Type::partial || header.type == wire::Type::result) {
    if (header.piece >= lanes_.size()) return false;
    const auto from = static_cast<int>(header.sender_rank);
    lanes_[header.piece].exchange().receive(from, header.codec != 0 ? unpack(message) : parcel_of(std::move(message)));
    return true;
  }
  if (header.type != wire::Type::squares || !clips() || header.slice >= squares_.size() ||
      header.payload % sizeof(double) != 0)
    return false;
  take_squares(message);
  return true;
}

void AllReduce::take_squares(const wire::Message& message) {
  std::vector<double>& sums = squares_[message.header.slice].emplace_back(message.header.payload / sizeof(double));
  std::memcpy(sums.data(), message.data(), message.size());
  aside_received_ += message.size();
}

}  // namespace dtrain::role
