import { describe, expect, test } from '@jest/globals';
import { parseJunit } from '../support/csi-junit.ts';

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
  <testsuites tests="5">
      <testsuite name="CSI Driver Test Suite" tests="5">
          <properties><property name="SuiteSucceeded" value="false"></property></properties>
          <testcase name="[BeforeSuite]" classname="Suite" status="passed" time="0.1"></testcase>
          <testcase name="[It] Node Service should &lt;work&gt;" classname="Suite" status="passed" time="0.1">
              <system-err>&gt; Enter [It] &lt;failure message=&#34;no&#34;&gt;</system-err>
          </testcase>
          <testcase name="[It] a &amp; b" classname="Suite" status="failed" time="0.1">
              <failure message="Expected&#xA;    &lt;int&gt;: 1" type="failed">[FAILED] …</failure>
          </testcase>
          <testcase name="[It] c" classname="Suite" status="skipped"><skipped message="skipped - not supported"></skipped></testcase>
          <testcase name="[It] d" classname="Suite" status="pending"><skipped message="pending"/></testcase>
          <testcase name="[AfterSuite]" classname="Suite" status="panicked" time="0"><error message="boom" type="panicked"/></testcase>
      </testsuite>
  </testsuites>`;

describe('parseJunit()', () => {
  test('gives name, status and message of each test when some of them failed or were skipped', () => {
    expect(parseJunit(REPORT)).toEqual([
      { name: '[It] Node Service should <work>', status: 'passed', message: '' },
      { name: '[It] a & b', status: 'failed', message: 'Expected\n    <int>: 1' },
      { name: '[It] c', status: 'skipped', message: 'skipped - not supported' },
      { name: '[It] d', status: 'skipped', message: 'pending' },
      { name: '[AfterSuite]', status: 'failed', message: 'boom' },
    ]);
  });

  test('finds nothing when there is no report', () => {
    expect(parseJunit('')).toEqual([]);
  });
});
