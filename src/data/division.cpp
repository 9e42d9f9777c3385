#include "data/division.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.hpp"
#include "data/portion.hpp"
#include "job/places.hpp"

namespace dtrain::data {
namespace {

Index ceil_divide(Index a, Index b) { return (a + b - 1) / b; }

}  // namespace

Division::Division(const job::Job& job, Index train_rows, std::vector<int> active)
    : Division(job, Facts{train_rows, 0, "", {}}, std::move(active)) {}

Division::Division(const job::Job& job, const Facts& facts, std::vector<int> active)
    : shard_(job.data.sharing == job::Sharing::shard),
      shuffle_(job.data.shuffle),
      shards_(facts.shards),
      partition_(job.data.partition.by),
      seed_(job.seed),
      rows_(facts.train_rows),
      batch_(std::max<Index>(1, job.train.batch)),
      epochs_(job.train.epochs),
      step_limit_(job.train.steps) {
  if (rows_ < 1) fail(Kind::data, "there are no training rows to divide");
  if (rows_ > Index{0xffffffff}) fail(Kind::data, "{} training rows: more than 2^32 - 1 cannot be numbered", rows_);
  if (shard_) {
    const Index highest = active.empty() ? 0 : active.back() + 1;
    first_.resize(static_cast<std::size_t>(std::max<Index>(job::places(job.topology), highest)) + 1);
    size_shards();
    deal_steps();
  }
  set_active(std::move(active));
}

Index Division::steps_per_epoch() const { return ceil_divide(rows_, batch_); }

Index Division::total_steps() const {
  const Index all = epochs_ * steps_per_epoch();
  return step_limit_ > 0 ? std::min(all, step_limit_) : all;
}

Index Division::total_rows() const { return applied_before(total_steps()); }

Index Division::in_step(Index step) const { return step % steps_per_epoch(); }

std::uint32_t Division::epoch_of(Index step) const { return static_cast<std::uint32_t>(step / steps_per_epoch()); }

Index Division::applied_before(Index step) const {
  return step / steps_per_epoch() * rows_ + std::min(in_step(step) * batch_, rows_);
}

Index Division::count(Index step) { return std::min(batch_, rows_ - in_step(step) * batch_); }

/// Place of `rank` among the active ones; -1 if it is not among them.
Index Division::place_of(int rank) const {
  const auto at = std::lower_bound(active_.begin(), active_.end(), rank);
  return at != active_.end() && *at == rank ? at - active_.begin() : -1;
}

Index Division::count(Index step, int rank) {
  const Index place = place_of(rank), present = std::ssize(active_);
  if (place < 0) return 0;
  const Index all = count(step);
  if (!shard_) return part_begin(all, present, place + 1) - part_begin(all, present, place);
  Index orphans = 0;
  for (const std::size_t shard : absent_) orphans += shard_count(step, shard);
  const Index first = (place + step) % present;  // the first orphan that is dealt to this rank
  const Index adopted = first < orphans ? ceil_divide(orphans - first, present) : 0;
  const auto own = static_cast<std::size_t>(rank);
  return adopted + (own + 1 < first_.size() ? shard_count(step, own) : 0);
}

std::span<const std::uint32_t> Division::rows(Index step, int rank) {
  if (epoch_ != epoch_of(step)) shuffle(epoch_of(step));
  const Index place = place_of(rank), present = std::ssize(active_);
  if (place < 0) return {};
  if (!shard_) {
    const Index begin = part_begin(count(step), present, place), length = count(step, rank);
    return std::span(order_).subspan(static_cast<std::size_t>(in_step(step) * batch_ + begin),
                                     static_cast<std::size_t>(length));
  }
  const auto own = static_cast<std::size_t>(rank);
  const auto mine = own + 1 < first_.size() ? shard_rows(step, own) : std::span<const std::uint32_t>{};
  if (absent_.empty()) return mine;
  scratch_.assign(mine.begin(), mine.end());
  Index orphan = (present - (place + step) % present) % present;
  for (const std::size_t shard : absent_) {
    for (const std::uint32_t row : shard_rows(step, shard)) {
      if (orphan == 0) scratch_.push_back(row);
      orphan = (orphan + 1) % present;
    }
  }
  return scratch_;
}

void Division::set_active(std::vector<int> active) {
  if (active.empty()) fail(Kind::internal, "no rank is left to share the rows");
  active_ = std::move(active);
  absent_.clear();
  for (std::size_t shard = 0; shard + 1 < first_.size(); ++shard)
    if (place_of(static_cast<int>(shard)) < 0) absent_.push_back(shard);
}

Index Division::shard_count(Index step, std::size_t shard) const {
  const std::size_t shards = first_.size() - 1, at = static_cast<std::size_t>(in_step(step)) * shards + shard;
  return Index{borders_[at + shards]} - borders_[at];
}

std::span<const std::uint32_t> Division::shard_rows(Index step, std::size_t shard) const {
  const std::size_t shards = first_.size() - 1, at = static_cast<std::size_t>(in_step(step)) * shards + shard;
  return std::span(order_).subspan(static_cast<std::size_t>(first_[shard]) + borders_[at],
                                   static_cast<std::size_t>(shard_count(step, shard)));
}

/// Stride and contiguous shards have the same sizes: nearly equal, the first ones longer.
void Division::size_shards() {
  const std::size_t shards = first_.size() - 1;
  const bool counted = !shards_.rows.empty();
  if (counted && shards_.rows.size() != shards) fail(Kind::internal, "the shards are of another number of workers");
  if (!counted) shards_.rows.resize(shards);
  std::vector<Index> sizes(shards, 0);
  for (std::size_t i = 0; counted && i < shards; ++i)
    sizes[i] = std::accumulate(shards_.rows[i].begin(), shards_.rows[i].end(), Index{0});
  if (!counted && by_class(partition_)) fail(Kind::internal, "nobody has counted the classes of the shards");
  for (Index row = 0; !counted && row < rows_; ++row)
    ++sizes[shard_of(partition_, seed_, row, rows_, static_cast<Index>(shards))];
  std::partial_sum(sizes.begin(), sizes.end(), first_.begin() + 1);
}

void Division::know(const Rows& train_rows) {
  if (shard_ && by_class(partition_))
    members_ = data::shard_rows(partition_, seed_, rows_, classes_of(train_rows.targets()), shards_);
}

/// What a hash says is listed when it is first needed: roles that only count never need it.
void Division::list_members() {
  if (!shard_ || !members_.empty()) return;
  if (by_class(partition_)) fail(Kind::internal, "the rows of shards by class are not known");
  if (partition_ == job::PartitionBy::hash) members_ = data::shard_rows(partition_, seed_, rows_, {}, shards_);
}

void Division::deal_steps() {
  const std::size_t shards = first_.size() - 1, steps = static_cast<std::size_t>(steps_per_epoch());
  borders_.assign((steps + 1) * shards, 0);
  for (std::size_t step = 0; step < steps; ++step) {
    const auto before = std::span(borders_).subspan(step * shards, shards);
    const auto after = std::span(borders_).subspan((step + 1) * shards, shards);
    for (std::size_t shard = 0; shard < shards; ++shard) after[shard] = before[shard];
    deal_batch(count(static_cast<Index>(step)), after);
  }
}

/// Largest remainder: every shard gives batch * left_i / left rows rounded down, and those with the largest
/// remainders (lowest rank first where equal) one more. taken[i] grows by what shard i gives.
void Division::deal_batch(Index batch, std::span<std::uint32_t> taken) {
  const std::size_t shards = taken.size();
  const Index left = rows_ - std::accumulate(taken.begin(), taken.end(), Index{0});
  std::vector<Index> remainder(shards);
  Index missing = batch;
  for (std::size_t i = 0; i < shards; ++i) {
    const Index product = batch * (first_[i + 1] - first_[i] - taken[i]);
    remainder[i] = product % left;
    taken[i] += static_cast<std::uint32_t>(product / left);
    missing -= product / left;
  }
  std::vector<std::size_t> by_remainder(shards);
  std::iota(by_remainder.begin(), by_remainder.end(), std::size_t{0});
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [&](std::size_t a, std::size_t b) { return remainder[a] > remainder[b]; });
  for (Index i = 0; i < missing; ++i) ++taken[by_remainder[static_cast<std::size_t>(i)]];
}

void Division::shuffle(std::uint32_t epoch) {
  list_members();
  if (!shard_ && shuffle_) permutation(seed_, Purpose::shuffle, epoch, rows_, order_);
  order_.resize(static_cast<std::size_t>(rows_));
  if (!shard_ && !shuffle_) std::iota(order_.begin(), order_.end(), 0u);
  for (std::size_t shard = 0; shard + 1 < first_.size(); ++shard) shuffle_shard(epoch, shard);
  if (shard_) scratch_.reserve(static_cast<std::size_t>(std::min(batch_, rows_)));
  epoch_ = epoch;
}

void Division::shuffle_shard(std::uint32_t epoch, std::size_t shard) {
  const std::size_t shards = first_.size() - 1;
  const Index begin = first_[shard], length = first_[shard + 1] - begin;
  const auto index = static_cast<std::uint32_t>(epoch * shards + shard);
  scratch_.resize(static_cast<std::size_t>(length));
  std::iota(scratch_.begin(), scratch_.end(), 0u);
  if (shuffle_) permutation(seed_, Purpose::shuffle, index, length, scratch_);
  const bool stride = partition_ == job::PartitionBy::stride;
  for (std::size_t k = 0; k < scratch_.size(); ++k) {
    const std::size_t place = static_cast<std::size_t>(begin) + scratch_[k];
    order_[static_cast<std::size_t>(begin) + k] =
        !members_.empty() ? members_[place] : static_cast<std::uint32_t>(stride ? scratch_[k] * shards + shard : place);
  }
}

}  // namespace dtrain::data
