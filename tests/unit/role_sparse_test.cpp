/// Owners that step only the rows of the first matrix that are touched.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <list>

#include "base/random.hpp"
#include "plan/sparse.hpp"
#include "role/inbox.hpp"
#include "role/owner.hpp"

using namespace dtrain;
using namespace dtrain::role;

namespace {

using Type = job::OptimizerType;
constexpr Index width = 700, hidden = 30, workers = 3;

job::Job job_of(Type type, double decay, job::SparseUpdates sparse, std::int64_t servers) {
  job::Job job;
  job.model.layers = {{.dense = hidden}, {.dense = 7}};
  job.topology.workers = workers;
  job.topology.servers = servers;
  job.train.optimizer.type = type;
  job.train.optimizer.weight_decay = decay;
  job.train.schedule.type = job::ScheduleType::cosine;
  job.train.sparse = sparse;
  job.train.batch = 10;
  return job;
}

plan::Plan plan_of(const job::Job& job) {
  data::Facts facts{1000, 0, "hash"};
  facts.nonzeros = 5000;
  return plan::make_plan(job, {"here", 2, std::size_t{1} << 34}, facts, width);
}

float number(std::uint32_t which, std::uint64_t i) { return unit(draw(5, Purpose::fault, which, i)[0]) - 0.5f; }

/// What one rank pushes in a step: rows that it touched, and the rest.
struct Push {
  std::vector<std::uint32_t> rows;
  std::vector<float> whole, compact;
};

Push push_of(const plan::Plan& plan, std::uint32_t which) {
  Push push;
  push.whole.resize(static_cast<std::size_t>(plan.layout.total));
  const auto matrix = static_cast<std::size_t>(width * hidden);
  for (std::uint32_t row = 0; row < width; ++row) {
    if (draw(6, Purpose::fault, which, row)[0] % 40 != 0) continue;
    push.rows.push_back(row);
    for (std::size_t k = row * hidden; k < (row + 1) * hidden; ++k) {
      push.whole[k] = number(which, k);
      push.compact.push_back(push.whole[k]);
    }
  }
  for (std::size_t k = matrix; k < push.whole.size(); ++k) push.whole[k] = number(which, k);
  return push;
}

Contribution contribution_of(const plan::Slice& slice, const Push& push, float factor) {
  Contribution out{{}, factor, push.rows};
  for (const plan::Piece& piece : slice.pieces) {
    const Index begin = rows_within(push.rows, hidden, piece.offset, piece.offset + piece.count).begin;
    out.pieces.push_back(piece.by_rows ? push.compact.data() + begin : push.whole.data() + piece.offset);
  }
  return out;
}

std::vector<Contribution> contributions_of(const plan::Slice& slice, const std::vector<Push>& pushes) {
  std::vector<Contribution> out;
  for (std::size_t r = 0; r < pushes.size(); ++r)
    out.push_back(contribution_of(slice, pushes[r], pushes.size() == 1 ? 1.0f : 0.25f * static_cast<float>(r + 1)));
  return out;
}

/// One owner a slice, with the same weights.
struct Owners {
  plan::Plan plan;
  std::list<Owner> owners;
  explicit Owners(const job::Job& job, int threads = 1) : plan(plan_of(job)) {
    for (std::size_t m = 0; m < plan.slices.size(); ++m) {
      Owner& owner = owners.emplace_back(plan, static_cast<int>(m), threads);
      for (Index k = 0; k < owner.current().weights.size(); ++k)
        owner.current().weights.data()[k] = number(99, static_cast<std::uint64_t>(plan.slices[m].begin + k));
    }
  }
  void step(const std::vector<Push>& pushes, float factor, Index rows) {
    for (Owner& owner : owners) CHECK_FALSE(owner.step(contributions_of(owner.slice(), pushes), factor, rows));
  }
  /// All arenas, slice after slice.
  std::vector<std::vector<float>> state() {
    std::vector<std::vector<float>> out(owners.front().arenas());
    for (Owner& owner : owners) {
      owner.catch_up();
      for (std::size_t a = 0; a < out.size(); ++a) {
        const auto span = owner.stored(a).span();
        out[a].insert(out[a].end(), span.begin(), span.end());
      }
    }
    return out;
  }
};

std::vector<Push> pushes_of(const plan::Plan& plan, std::uint32_t step) {
  std::vector<Push> pushes;
  for (std::uint32_t r = 0; r < (step % 5 == 0 ? 1u : 3u); ++r) pushes.push_back(push_of(plan, 10 * step + r));
  return pushes;
}

}  // namespace

TEST_CASE("rows that are stepped when they are touched have the bits of rows that are stepped always") {
  for (const Type type :
       {Type::sgd, Type::momentum, Type::nesterov, Type::adagrad, Type::rmsprop, Type::adam, Type::adamw})
    for (const double decay : {0.0, 0.02})
      for (const std::int64_t servers : {1, 3}) {
        Owners dense(job_of(type, decay, job::SparseUpdates::off, 1));
        Owners sparse(job_of(type, decay, job::SparseUpdates::exact, servers), servers == 1 ? 3 : 1);
        REQUIRE(dense.plan.sparse == plan::Sparse::none);
        REQUIRE(sparse.plan.sparse == plan::Sparse::rows);
        for (std::uint32_t step = 1; step <= 25; ++step) {
          const auto pushes = pushes_of(dense.plan, step);
          dense.step(pushes, 0.5f, 10 * step);
          sparse.step(pushes, 0.5f, 10 * step);
          if (step == 11) CHECK(sparse.state() == dense.state());
        }
        CAPTURE(static_cast<int>(type));
        CAPTURE(decay);
        CAPTURE(servers);
        CHECK(sparse.state() == dense.state());
      }
}

TEST_CASE("rows that are asked for are as they should be, whatever is behind") {
  Owners dense(job_of(Type::adam, 0, job::SparseUpdates::off, 1));
  Owners sparse(job_of(Type::adam, 0, job::SparseUpdates::exact, 1));
  for (std::uint32_t step = 1; step <= 9; ++step) {
    const auto pushes = pushes_of(dense.plan, step);
    dense.step(pushes, 1, 10 * step);
    sparse.step(pushes, 1, 10 * step);
  }
  const std::vector<std::uint32_t> asked = push_of(dense.plan, 10).rows;
  const auto same = [&](std::uint32_t row) {
    const auto begin = [row](Owners& o) { return o.owners.front().current().weights.data() + row * hidden; };
    return std::equal(begin(dense), begin(dense) + hidden, begin(sparse));
  };
  CHECK_FALSE(std::all_of(asked.begin(), asked.end(), same));
  sparse.owners.front().catch_up(asked);
  CHECK(std::all_of(asked.begin(), asked.end(), same));
}

TEST_CASE("under lazy nothing happens to rows that are not touched") {
  Owners sparse(job_of(Type::adamw, 0.1, job::SparseUpdates::lazy, 1));
  const auto before = sparse.state()[0];
  const std::vector<Push> pushes{push_of(sparse.plan, 1)};
  for (std::uint32_t step = 1; step <= 3; ++step) sparse.step(pushes, 1, 10 * step);
  const auto after = sparse.state()[0];
  for (std::uint32_t row = 0; row < width; ++row) {
    const bool touched = std::binary_search(pushes[0].rows.begin(), pushes[0].rows.end(), row);
    const auto at = static_cast<std::ptrdiff_t>(row * hidden);
    CHECK(std::equal(before.begin() + at, before.begin() + at + hidden, after.begin() + at) != touched);
  }
}

TEST_CASE("a version that somebody reads stays as it is when rows are stepped") {
  Owners sparse(job_of(Type::momentum, 0, job::SparseUpdates::exact, 1));
  Owners other(job_of(Type::momentum, 0, job::SparseUpdates::exact, 1));
  Owner& owner = sparse.owners.front();
  sparse.step(pushes_of(sparse.plan, 1), 1, 10);
  other.step(pushes_of(sparse.plan, 1), 1, 10);
  Version& read = owner.current();
  const std::vector<float> before(read.weights.span().begin(), read.weights.span().end());
  read.in_flight.add();
  sparse.step(pushes_of(sparse.plan, 2), 1, 20);
  other.step(pushes_of(sparse.plan, 2), 1, 20);
  CHECK(&owner.current() != &read);
  CHECK(std::equal(before.begin(), before.end(), read.weights.data()));
  Version& now = owner.current();
  sparse.step(pushes_of(sparse.plan, 3), 1, 30);
  other.step(pushes_of(sparse.plan, 3), 1, 30);
  CHECK(&owner.current() == &now);
  CHECK(sparse.state() == other.state());
  wire::InFlight::release(nullptr, &read.in_flight);
}

TEST_CASE("a gradient of rows that is not finite is found before any row is stepped") {
  Owners sparse(job_of(Type::sgd, 0, job::SparseUpdates::exact, 1));
  std::vector<Push> pushes{push_of(sparse.plan, 1)};
  pushes[0].compact[40] = std::numeric_limits<float>::quiet_NaN();
  Owner& owner = sparse.owners.front();
  const std::vector<float> before(owner.current().weights.span().begin(), owner.current().weights.span().end());
  CHECK(owner.step(contributions_of(owner.slice(), pushes), 1, 10) == std::optional<Index>(0));
  CHECK(std::equal(before.begin(), before.end(), owner.current().weights.data()));
}

TEST_CASE("sums of squares are those of the whole gradient but for rounding, and the same for any slices") {
  Owners dense(job_of(Type::sgd, 0, job::SparseUpdates::off, 1));
  Owners one(job_of(Type::sgd, 0, job::SparseUpdates::exact, 1)),
      three(job_of(Type::sgd, 0, job::SparseUpdates::exact, 3));
  const auto pushes = pushes_of(dense.plan, 2);
  const auto total = [&](Owners& owners) {
    double sum = 0;
    for (Owner& owner : owners.owners)
      for (const double square : owner.squares(contributions_of(owner.slice(), pushes))) sum += square;
    return sum;
  };
  CHECK(total(one) == doctest::Approx(total(dense)).epsilon(1e-9));
  CHECK(total(one) == total(three));
}

TEST_CASE("a push of rows is taken in if it is as long as the rows that were asked for, and refused otherwise") {
  const plan::Plan plan = plan_of(job_of(Type::sgd, 0, job::SparseUpdates::exact, 1));
  const plan::Slice& slice = plan.slices.front();
  REQUIRE(slice.pieces.front().by_rows);
  const Push push = push_of(plan, 3);
  const auto message = [&](std::size_t floats, std::uint16_t codec) {
    wire::Message out;
    out.header.type = wire::Type::push;
    out.header.codec = codec;
    out.header.rows = 5;
    out.header.pieces = static_cast<std::uint32_t>(slice.pieces.size());
    out.header.offset = static_cast<std::uint64_t>(slice.pieces.front().offset);
    out.header.count = static_cast<std::uint64_t>(slice.pieces.front().count);
    out.payload = zmq::message_t(push.compact.data(), floats * sizeof(float));
    return out;
  };
  Inbox inbox(slice.pieces.size(), false);
  const RowsSent sent{push.rows, hidden};
  CHECK_FALSE(inbox.add(slice, message(push.compact.size() - 1, plan::rows_codec), nullptr, sent));
  CHECK_FALSE(inbox.add(slice, message(push.compact.size(), 0), nullptr, sent));
  CHECK_FALSE(inbox.add(slice, message(push.compact.size(), plan::rows_codec), nullptr, {}));
  CHECK(inbox.add(slice, message(push.compact.size(), plan::rows_codec), nullptr, sent));
  CHECK(std::equal(push.compact.begin(), push.compact.end(), inbox.floats().front()));
}
