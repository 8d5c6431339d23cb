#include "tests/cross_wheels/greeting.h"

#include <stdexcept>

std::string greeting(const std::string &name) {
  if (name.empty()) {
    throw std::invalid_argument("no name");
  }
  return "hello " + name;
}
