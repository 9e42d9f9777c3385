#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/random.hpp"
#include "plan/packing.hpp"
#include "role/owner.hpp"
#include "role/packer.hpp"
#include "role/publisher.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

constexpr job::Codec lossy[] = {job::Codec::fp16, job::Codec::bf16, job::Codec::qsgd, job::Codec::onebit,
                                job::Codec::topk};

plan::Plan plan_of(job::Codec codec, std::int64_t workers = 2) {
  job::Job job;
  job.model.layers = {{.dense = 150}, {.dense = 70}, {.dense = 3}};
  job.topology.workers = workers;
  job.topology.servers = 2;
  job.sync.codec = codec;
  job.sync.feedback = true;
  job.sync.topk_momentum = 0.9;
  job.sync.density = 0.05;
  job.train.optimizer.type = job::OptimizerType::momentum;
  return plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, {1000, 0, "hash"}, 90);
}

/// A vote, at a rate that changes, with a decay of some weights.
plan::Plan plan_of_votes(bool feedback = false, int servers = 2) {
  plan::Plan plan = plan_of(job::Codec::none, 3);
  plan.job.topology.servers = servers;
  plan.job.sync.policy = job::PolicyName::sign_vote;
  plan.job.sync.vote_feedback = feedback;
  plan.job.train.optimizer.type = job::OptimizerType::sgd;
  plan.job.train.optimizer.weight_decay = 0.01;
  plan.job.train.schedule.type = job::ScheduleType::cosine;
  return plan::make_plan(plan.job, plan.host, plan.facts, plan.width);
}

std::vector<float> numbers(std::uint32_t which, Index count) {
  std::vector<float> out(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = unit(draw(9, Purpose::fault, which, i)[0]) - 0.5f;
  return out;
}

Packer packer_of(const plan::Plan& plan, int rank) {
  return {plan::codec_options(plan.job), plan.job.seed, static_cast<std::uint32_t>(rank), plan.slices[0].pieces,
          plan::kept_arenas(plan)};
}

using Bytes = std::vector<std::byte>;

/// One step of all pieces.
std::vector<Bytes> packed(Packer& packer, std::uint64_t step, double rate = 0.1) {
  packer.begin(step, rate, 1);
  std::vector<Bytes> all;
  for (std::size_t p = 0; p < packer.pieces().size(); ++p) {
    const auto bytes = packer.pack(p, numbers(static_cast<std::uint32_t>(step), packer.pieces()[p].count));
    REQUIRE(bytes);
    all.emplace_back(bytes->begin(), bytes->end());
  }
  return all;
}

std::vector<Contribution> gradient_of(const plan::Slice& slice, const std::vector<float>& gradient) {
  Contribution out{{}, 1};
  for (const plan::Piece& piece : slice.pieces) out.pieces.push_back(gradient.data() + piece.offset);
  return {out};
}

/// One piece's change on a reader's copy of the slice.
void follow(const plan::Plan& plan, Unpacker& unpacker, std::size_t piece, const Bytes& change,
            const plan::Slice& slice, Index applied_rows, std::vector<float>& copy) {
  const plan::Piece& at = slice.pieces[piece];
  const auto decoded = unpacker.unpack(piece, change);
  REQUIRE(decoded);
  const auto place =
      std::span(copy).subspan(static_cast<std::size_t>(at.offset - slice.begin), static_cast<std::size_t>(at.count));
  follow_change(plan, at.offset, applied_rows, *decoded, place, place);
}

}  // namespace

TEST_CASE("a step that is taken back is packed again to the same bytes, whatever its rate was") {
  for (const job::Codec codec : lossy) {
    const plan::Plan plan = plan_of(codec);
    Packer packer = packer_of(plan, 0);
    packed(packer, 0);
    const std::vector<Bytes> first = packed(packer, 1, 0.05);
    packer.take_back(0);  // of another step: nothing happens
    const std::vector<Bytes> later = packed(packer, 2, 0.05);
    packer.take_back(2);
    CHECK(packed(packer, 2, 0.05) == later);
    packer.take_back(2);
    packer.take_back(2);
    CHECK(packer.rate() == 0.05);
    CHECK(packed(packer, 2, 0.05) == later);
    CHECK(first != later);
  }
}

TEST_CASE("what is kept back, saved and loaded, goes on with the same bytes") {
  for (const job::Codec codec : lossy) {
    const plan::Plan plan = plan_of(codec);
    Packer whole = packer_of(plan, 1), resumed = packer_of(plan, 1);
    packed(whole, 0), packed(whole, 1, 0.3);
    CHECK(whole.arenas() == (codec == job::Codec::topk ? 2u : 1u));
    for (std::size_t p = 0; p < whole.pieces().size(); ++p)
      for (std::size_t a = 0; a < whole.arenas(); ++a)
        std::copy(whole.state(a, p).begin(), whole.state(a, p).end(), resumed.state(a, p).begin());
    resumed.set_rate(whole.rate());
    CHECK(packed(resumed, 2, 0.1) == packed(whole, 2, 0.1));
  }
}

TEST_CASE("numbers that a codec cannot carry are told, and a piece is found by its place alone") {
  const plan::Plan plan = plan_of(job::Codec::onebit);
  Packer packer = packer_of(plan, 0);
  const plan::Piece& piece = packer.pieces()[0];
  std::vector<float> values = numbers(1, piece.count);
  values[3] = std::numeric_limits<float>::quiet_NaN();
  packer.begin(0, 0.1, 1);
  CHECK_FALSE(packer.pack(0, values));
  CHECK(packer.find(static_cast<std::uint64_t>(piece.offset), static_cast<std::uint64_t>(piece.count)) == 0u);
  CHECK_FALSE(packer.find(static_cast<std::uint64_t>(piece.offset) + 1, static_cast<std::uint64_t>(piece.count)));
}

TEST_CASE("who adds every change to the weights has what is published, to the bit") {
  for (const job::Codec codec : lossy) {
    const plan::Plan plan = plan_of(codec);
    REQUIRE(plan::packs_changes(plan));
    const std::vector<float> weights = numbers(0, plan.layout.total);
    Owner owner(plan, 1, 2);
    const plan::Slice& slice = owner.slice();
    std::copy(weights.begin() + slice.begin, weights.begin() + slice.end, owner.current().weights.data());
    std::copy(weights.begin() + slice.begin, weights.begin() + slice.end, owner.stored(0).data());
    std::vector<float> reader(weights.begin() + slice.begin, weights.begin() + slice.end);
    Unpacker unpacker(plan::change_options(plan.job), plan::codec_number(plan.job), slice.pieces);
    for (std::uint32_t step = 1; step <= 4; ++step) {
      const std::vector<float> gradient = numbers(step, plan.layout.total);
      REQUIRE_FALSE(owner.step(gradient_of(slice, gradient), 1, 100 * step));
      for (std::size_t p = 0; p < slice.pieces.size(); ++p)
        follow(plan, unpacker, p, owner.current().changes[p], slice, 0, reader);
      CHECK(std::equal(reader.begin(), reader.end(), owner.current().weights.data()));
    }
    CHECK_FALSE(std::equal(reader.begin(), reader.end(), owner.stored(0).data()));
  }
}

TEST_CASE("once the weights rest, what is published comes to them") {
  for (const job::Codec codec : lossy) {
    plan::Plan plan = plan_of(codec);
    plan.job.train.optimizer.type = job::OptimizerType::sgd;
    plan = plan::make_plan(plan.job, plan.host, plan.facts, plan.width);
    Owner owner(plan, 0, 1);
    const std::vector<float> gradient = numbers(1, plan.layout.total), none(gradient.size());
    REQUIRE_FALSE(owner.step(gradient_of(owner.slice(), gradient), 1, 100));
    const auto distance = [&] {
      double sum = 0;
      for (Index k = 0; k < owner.stored(0).size(); ++k)
        sum += std::abs(double(owner.stored(0).data()[k]) - double(owner.current().weights.data()[k]));
      return sum;
    };
    const double first = distance();
    for (Index step = 2; step <= 40; ++step) REQUIRE_FALSE(owner.step(gradient_of(owner.slice(), none), 1, 100 * step));
    CHECK(distance() <= 0.05 * first);
  }
}

TEST_CASE("the model is that of a run without a codec where gradients are the same") {
  const plan::Plan packs = plan_of(job::Codec::onebit), plain = plan_of(job::Codec::none);
  Owner one(packs, 0, 1), other(plain, 0, 1);
  CHECK(one.arenas() == other.arenas() + 1);
  for (std::uint32_t step = 1; step <= 3; ++step) {
    const std::vector<float> gradient = numbers(step, packs.layout.total);
    REQUIRE_FALSE(one.step(gradient_of(one.slice(), gradient), 0.5f, 100 * step));
    REQUIRE_FALSE(other.step(gradient_of(other.slice(), gradient), 0.5f, 100 * step));
  }
  CHECK(std::equal(other.stored(0).span().begin(), other.stored(0).span().end(), one.stored(0).data()));
  CHECK(std::equal(other.stored(1).span().begin(), other.stored(1).span().end(), one.stored(1).data()));
  one.step({}, 1, 1000);
  CHECK(one.current().changes.empty());
}

TEST_CASE("who takes the step of every vote that is told has the owner's weights, in one bit a weight") {
  const plan::Plan plan = plan_of_votes();
  REQUIRE(plan::packs_changes(plan));
  CHECK(plan.server_arenas() == 0);
  std::vector<float> reader = numbers(0, plan.layout.total);
  for (int m = 0; m < 2; ++m) {
    Owner owner(plan, m, 2);
    const plan::Slice& slice = owner.slice();
    std::vector<float> copy(reader.begin() + slice.begin, reader.begin() + slice.end);
    std::copy(copy.begin(), copy.end(), owner.current().weights.data());
    Unpacker unpacker(plan::change_options(plan.job), plan::codec_number(plan.job), slice.pieces);
    for (std::uint32_t step = 1; step <= 4; ++step) {
      const std::vector<float> before = copy;
      const Index applied = owner.current().applied_rows;
      REQUIRE_FALSE(owner.step(gradient_of(slice, numbers(step, plan.layout.total)), 1, 100 * step));
      for (std::size_t p = 0; p < slice.pieces.size(); ++p) {
        CHECK(owner.current().changes[p].size() == static_cast<std::size_t>(slice.pieces[p].count + 7) / 8);
        follow(plan, unpacker, p, owner.current().changes[p], slice, applied, copy);
      }
      CHECK(copy != before);
      CHECK(std::equal(copy.begin(), copy.end(), owner.stored(0).data()));
    }
  }
}

TEST_CASE("the signs of a step that is taken back, or of a resumed run, are the same with feedback") {
  const plan::Plan plan = plan_of_votes(true);
  CHECK(plan::kept_arenas(plan) == 1);
  CHECK(plan::kept_arenas(plan_of_votes()) == 0);
  Packer packer = packer_of(plan, 0), resumed = packer_of(plan, 0);
  packed(packer, 0);
  for (std::size_t p = 0; p < packer.pieces().size(); ++p)
    std::copy(packer.state(0, p).begin(), packer.state(0, p).end(), resumed.state(0, p).begin());
  resumed.set_rate(packer.rate());
  const std::vector<Bytes> first = packed(packer, 1, 0.05);
  CHECK(packed(resumed, 1, 0.05) == first);
  packer.take_back(1);
  CHECK(packed(packer, 1, 0.05) == first);
}
