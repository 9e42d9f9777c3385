#pragma once
/// Completion scripts, one per shell, from the catalogues of verbs and of keys.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "job/catalogue.hpp"

namespace dtrain::cli {

std::string bash_completions();
std::string zsh_completions();
std::string fish_completions();

/// `text` with every "@NAME@" replaced.
std::string filled(std::string text, const std::vector<std::pair<std::string, std::string>>& values);

/// Keys that `--set` can give a value: no maps, nothing inside a list.
std::vector<const job::KeyInfo*> settable_keys();
/// Every key and section as `explain` takes it.
std::vector<std::string> explainable_keys();

}  // namespace dtrain::cli
