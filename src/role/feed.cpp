#include "role/feed.hpp"

#include "role/fetched_feed.hpp"

namespace dtrain::role {
namespace {

/// All rows are here.
class OwnFeed final : public Feed {
 public:
  OwnFeed(const plan::Plan& plan, const data::Encoding& encoding)
      : rows_(data::load(plan.job, encoding, data::Part::train, plan.facts.hash)) {}
  const data::Rows* rows() const override { return rows_.get(); }
  void gather(std::span<const std::uint32_t> rows, Matrix features, std::span<float> targets) override {
    if (features.data != nullptr) return rows_->gather(rows, features, targets);
    for (std::size_t k = 0; k < rows.size(); ++k) targets[k] = rows_->targets()[rows[k]];
  }
  void gather_sparse(std::span<const std::uint32_t> rows, SparseBatch& batch, std::span<float> targets) override {
    rows_->gather_sparse(rows, batch, targets);
  }

 private:
  std::unique_ptr<data::Rows> rows_;
};

}  // namespace

std::unique_ptr<Feed> make_feed(const plan::Plan& plan, const data::Encoding& encoding) {
  return std::make_unique<OwnFeed>(plan, encoding);
}

std::unique_ptr<Feed> make_feed(Link& link, const plan::Plan& plan, const Welcome& welcome) {
  if (plan.loaders() == 0) return make_feed(plan, welcome.encoding);
  return std::make_unique<FetchedFeed>(link, plan, welcome);
}

}  // namespace dtrain::role
