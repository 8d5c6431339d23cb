#include <iostream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/cross_wheels/greeting.h"

int main() {
  std::mutex mutex;
  std::thread thread([&mutex] {
    std::lock_guard<std::mutex> lock(mutex);
    std::cout << greeting("thread") << std::endl;
  });
  thread.join();
  try {
    greeting("");
  } catch (const std::invalid_argument &error) {
    std::cout << "caught " << error.what() << std::endl;
  }
#if defined(__aarch64__)
  std::cout << "aarch64" << std::endl;
#else
  std::cout << "x86_64" << std::endl;
#endif
}
